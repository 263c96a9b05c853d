package httpapi

import (
	"os"
	"sync/atomic"
	"time"

	"github.com/caregate/caregate/internal/plaintext"
)

// watchedFile tells when a file changed. It looks at most once a second, and
// only when it is asked.
type watchedFile struct {
	path   string
	looked atomic.Int64 // Unix nanoseconds
	seen   atomic.Pointer[os.FileInfo]
}

// changed reports whether the file is another than was read last. One caller
// is told of one change; that the file is gone is one too.
func (w *watchedFile) changed() bool {
	now, looked := time.Now().UnixNano(), w.looked.Load()
	if now-looked < int64(time.Second) || !w.looked.CompareAndSwap(looked, now) {
		return false
	}
	info, err := os.Stat(w.path)
	seen := w.seen.Load()
	switch {
	case err != nil:
		w.seen.Store(nil)
		return seen != nil
	case seen == nil:
		return true
	}
	return !os.SameFile(*seen, info) || !(*seen).ModTime().Equal(info.ModTime()) || (*seen).Size() != info.Size()
}

// content returns the file's content, plain text, and remembers which file that was. It looks
// before it reads, so that a write in between is seen as a change.
func (w *watchedFile) content() ([]byte, error) {
	w.looked.Store(time.Now().UnixNano())
	w.seen.Store(nil)
	info, err := os.Stat(w.path)
	if err != nil {
		return nil, err
	}
	w.seen.Store(&info)
	return plaintext.ReadFile(w.path)
}
