// Package connect makes clients of one Redis, of a cluster, or of what Sentinels watch: their URLs,
// certificates, time limits, and bounds on replies. Its doors are Parse and Within, which return a
// Server, and Unavailable, which says why there is no answer in words of our own.
//
// It keeps that nothing is sent to a replica, that a script that writes is sent once, and that no
// text of a server, which may hold ids, goes on.
//
// # In a cluster
//
// Scripts name the head as their only key and find the others by it, all in its
// slot. That is sound at the node that has the slot: see clusterHook for a slot that
// is on its way to another one. No client follows an ASK.
package connect
