package connect

import (
	"bytes"
	"errors"
)

// The bounds on what servers announce. The client makes room for a reply when its
// length is announced, before a byte of it has come, so that a few bytes of a server
// that is broken or not ours would take all memory.
const (
	// maxReply bounds one reply: its bytes, and elementCost for each element, which
	// is about what the client makes room for. The largest that is asked for is a
	// change of a thousand records with long lists; an ordinary page is a thousandth.
	maxReply    = 128 << 20
	elementCost = 64
	// maxReplies bounds all replies together that are being read by a directory.
	maxReplies = 2 * maxReply
	// freeReply is how much of a reply counts for nothing among all.
	freeReply = 64 << 10
	// maxReplyLine bounds what has no announced length: numbers, states and errors.
	maxReplyLine = 64 << 10
	// maxNesting bounds replies within replies. A stream of changes has five.
	maxNesting = 16
)

// errAnnounced is the error of a connection whose server announced more than any
// answer has, or what is no reply.
var errAnnounced = errors.New("the reply is not within the bounds on replies")

// readOnly is how the error of a server begins that is no master.
const readOnly = "-READONLY"

// replies follows what a server says, in RESP2 or RESP3, as far as it announces what
// is to come. It takes the same memory whatever that is. What it does not know is out
// of bounds: servers send no attributes and no streamed strings or lists unless they
// are asked to.
type replies struct {
	all *connections

	bytes   int64 // of a text that are still to come, with its end
	line    int   // bytes of the line so far, 0 before its first one
	kind    byte  // the first byte of the line
	number  int64 // that the line has so far
	last    byte  // the last byte of the line so far
	begins  [len(readOnly)]byte
	nesting int               // lists around the next element
	open    [maxNesting]int64 // elements that each of them still lacks
	cost    int64             // of the reply so far
	taken   int64             // of it, from all
}

// admits takes the next bytes, and reports false when they are out of bounds.
func (r *replies) admits(b []byte) bool {
	for len(b) > 0 {
		if r.bytes > 0 {
			n := min(r.bytes, int64(len(b)))
			r.bytes -= n
			b = b[n:]
			if r.bytes == 0 {
				r.element()
			}
			continue
		}
		n := bytes.IndexByte(b, '\n') + 1
		ends := n > 0
		if !ends {
			n = len(b)
		}
		if !r.part(b[:n]) || ends && !r.lineEnds() {
			return false
		}
		b = b[n:]
	}
	return true
}

// part takes a part of a line.
func (r *replies) part(b []byte) bool {
	if r.line == 0 {
		r.kind, r.number, r.last, r.begins = b[0], 0, b[0], [len(readOnly)]byte{}
	}
	switch r.kind {
	case '-':
		if r.line < len(r.begins) {
			copy(r.begins[r.line:], b)
		}
	case '+', ':', '_', ',', '#', '(':
	case '$', '!', '=', '*', '~', '>', '%':
		for i, c := range b {
			if i == 0 && r.line == 0 {
				continue
			}
			switch at := r.line + i; {
			case '0' <= c && c <= '9' && r.last != '\r' && r.number >= 0 && at < 12:
				r.number = 10*r.number + int64(c-'0')
			case c == '-' && at == 1:
				r.number = -1
			case c == '1' && at == 2 && r.number == -1: // the length of nothing
			case c == '\r' && at > 1 && r.last != '\r' && r.last != '-':
			case c == '\n' && r.last == '\r':
			default:
				return false
			}
			r.last = c
		}
	default:
		return false
	}
	r.line += len(b)
	r.last = b[len(b)-1]
	return r.line <= maxReplyLine
}

// lineEnds takes the end of a line.
func (r *replies) lineEnds() bool {
	r.line = 0
	number := max(r.number, 0)
	switch r.kind {
	case '-':
		if string(r.begins[:]) == readOnly {
			r.all.renew()
		}
	case '$', '!', '=':
		if !r.announce(number) {
			return false
		}
		if r.number >= 0 {
			r.bytes = number + int64(len("\r\n"))
			return true
		}
	case '%':
		number *= 2
		fallthrough
	case '*', '~', '>':
		if !r.announce(number * elementCost) {
			return false
		}
		if number > 0 {
			if r.nesting == maxNesting {
				return false
			}
			r.open[r.nesting] = number
			r.nesting++
			return true
		}
	}
	r.element()
	return true
}

// announce takes what something will cost.
func (r *replies) announce(cost int64) bool {
	r.cost += cost
	if r.cost > maxReply {
		return false
	}
	if more := r.cost - freeReply - r.taken; more > 0 {
		if !r.all.take(more) {
			return false
		}
		r.taken += more
	}
	return true
}

// element takes the end of an element, and of each list that ends with it.
func (r *replies) element() {
	for r.nesting > 0 {
		r.open[r.nesting-1]--
		if r.open[r.nesting-1] > 0 {
			return
		}
		r.nesting--
	}
	r.end()
}

// end takes the end of a reply.
func (r *replies) end() {
	if r.taken > 0 {
		r.all.give(r.taken)
	}
	r.cost, r.taken = 0, 0
}
