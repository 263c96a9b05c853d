// Package transfer moves facts in and out as JSON Lines. Its doors are Import, which commits records
// in batches, Export, which writes an organisation as it was at one revision, and RecordReader.
//
// It keeps that everything in an export is of one revision: pages that were read later are taken
// back to the first one by the changes in the stream (rewind.go).
package transfer
