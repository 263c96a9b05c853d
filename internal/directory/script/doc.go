// Package script has everything that is asked of Redis: the scripts in Lua, the names of keys, the
// head of an organisation, and the forms of replies.
//
// Whatever needs more than one command is one script, so that a reading is one snapshot and a
// change is all or nothing. The texts are beside this file and run alike on Redis and on the
// embedded store. Every one refuses facts of another schema, or gives the head for the caller to.
//
// Its doors are Set, which has the scripts for a server, ReadHead and ReadStream, and the
// functions that take replies apart. It keeps of the rules in docs/architecture.md that a change is
// validated first and written by one script (write), and that a head is only believed of a master
// (lease).
//
// # What is believed
//
// Only a master is, and every script looks at that itself (master.lua), so that an
// answer and the proof that it is a master's are one. Whatever else answers, a replica
// or a master that was demoted, gives no answer, and its connection is closed.
package script
