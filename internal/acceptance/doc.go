// Package acceptance tries the caregate binary from outside: it builds it,
// starts it beside a real redis-server and over its embedded store, and asks
// it questions over HTTP and on the command line.
//
// Its tests are written from the rules (V1-V9, B1-B6, P1-P6, A1-A5) and from
// the reference of the Directory API, and know nothing of the packages that
// implement them. There is nothing to import here. The examples of the documents are
// tried here too, and their links and commands.
//
// The environment steers it:
//
//	CAREGATE_TEST_RACE       any value builds the binary with the race detector
//	CAREGATE_TEST_SEED       the seed of the property tests; one that fails prints it, with a command
//	CAREGATE_TEST_DECISIONS  how many decisions the property test compares
//	CAREGATE_TEST_EDITS      how many random changes the Directory API is given
package acceptance
