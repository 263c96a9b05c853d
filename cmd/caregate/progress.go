package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress shows how far an import is, on a terminal only.
type progress struct {
	out     io.Writer
	start   time.Time
	visible bool

	file *countedFile // nil when it is not known how much there is to read
}

func newProgress(out io.Writer, file *countedFile) *progress {
	if !isTerminal(out) {
		out = nil
	}
	return &progress{out: out, start: time.Now(), file: file}
}

// countedFile is a file and how much of it has been read.
type countedFile struct {
	io.Reader
	size, done int64
}

// newCountedFile returns a file to be read with a count, nil if it has no size, as a
// pipe has none.
func newCountedFile(file *os.File) *countedFile {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	return &countedFile{Reader: file, size: info.Size()}
}

func (c *countedFile) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done += int64(n)
	return n, err
}

const clearLine = "\r\x1b[K"

func (p *progress) records(done int) {
	if p.out == nil {
		return
	}
	p.visible = true
	fmt.Fprint(p.out, clearLine, p.status(done, time.Since(p.start)))
}

// status says how far the import is after some time.
func (p *progress) status(done int, after time.Duration) string {
	status := fmt.Sprintf("%d records, %.0f a second", done, float64(done)/max(after.Seconds(), 0.001))
	if p.file == nil || p.file.done == 0 {
		return status
	}
	part := float64(p.file.done) / float64(p.file.size)
	status = fmt.Sprintf("%3.0f %%  %s of %s, %s", 100*part, megabytes(p.file.done), megabytes(p.file.size), status)
	if left := time.Duration(float64(after) * (1 - part) / part); left > 0 {
		status += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	return status
}

func megabytes(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }

func (p *progress) clear() {
	if p.visible {
		fmt.Fprint(p.out, clearLine)
	}
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
