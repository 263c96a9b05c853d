// Package secrecy holds a property of the finished program: an actor learns nothing about
// what they may not see (A5). Two organisations that differ only in records hidden from an actor
// give that actor the same answers, whatever they ask and whatever they try to change.
//
// The tests are a package of their own because they need every part at once (the policy,
// the store, the HTTP API) and belong to none of them, and because they are written from
// the rules and the operators' pages only. Everything goes through HTTP: the requests that are
// compared, and the questions that say which records are hidden. There is nothing to import here.
//
// The environment steers it:
//
//	CAREGATE_TEST_SEED   the seed; a test that fails prints it, with a command
//	CAREGATE_TEST_CASES  how many requests are compared
//	CAREGATE_TEST_PAIR   the number of one pair of organisations, to repeat a failure
package secrecy
