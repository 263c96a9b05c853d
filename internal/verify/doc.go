// Package verify shows that all shapes of an answer agree (V8): one check after the
// other, a batch, the three searches, a filter executed in a database, UCAST, and the
// decision of an explanation. It makes random organisations, asks each shape the same,
// and compares what they say with an oracle: a plain evaluation of the policy over the
// records themselves, which shares neither store, nor index, nor memory with what it
// judges. Where two disagree it looks for the smallest organisation in which they do.
//
// It imports the domain and the embedded SQLite; everything else is handed to it.
package verify
