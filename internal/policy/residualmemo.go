package policy

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/caregate/caregate/internal/authz"
)

// What is remembered of residuals is bounded: how many there are, and about how many
// bytes they take. Past it the memo starts afresh.
const (
	maxResiduals     = 1024
	maxResidualBytes = 8 << 20
	residualEntry    = 512 // bytes of one, beside its values
)

// residualMemo remembers residuals, as memo does decisions: by the question and the
// very facts that it depends on.
type residualMemo struct {
	mu      sync.Mutex
	entries map[string]*keptResidual
	bytes   int
}

type keptResidual struct {
	facts    []*identity
	residual *authz.Residual
}

// residualKey is what a residual is a function of, beside the policy; nil for one
// that is not remembered.
type residualKey struct {
	question string
	facts    []*identity
}

// key makes a key with the help of a memo of decisions, which is nil for a policy of
// which nothing may be remembered.
func (*residualMemo) key(m *memo, q authz.Question, open authz.Open) *residualKey {
	if m == nil {
		return nil
	}
	b := make([]byte, 0, memoQuestion)
	if open.Subject {
		b = append(b, 's')
	}
	if open.Both {
		b = append(b, 'b')
	}
	for _, name := range open.References {
		b = appendText(append(b, 'r'), name)
	}
	a := &asked{Question: q}
	a.sortReferences()
	b, _, ok := appendQuestion(append(b, ':'), a)
	if !ok {
		return nil
	}
	k := &residualKey{}
	// Who is asked about has a place in the text too, so that one organisation's
	// question does not take that of another.
	k.facts, _, ok = m.appendFacts(nil, a)
	for _, id := range k.facts {
		if id != nil {
			b = binary.BigEndian.AppendUint64(b, id.place)
		}
	}
	if k.question = string(b); !ok {
		return nil
	}
	return k
}

func (m *residualMemo) get(k *residualKey) *authz.Residual {
	if k == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.entries[k.question]; e != nil && slices.Equal(e.facts, k.facts) {
		return e.residual
	}
	return nil
}

func (m *residualMemo) put(k *residualKey, r *authz.Residual) {
	if k == nil {
		return
	}
	size := residualEntry + len(k.question)
	for _, all := range r.Any {
		for _, c := range all {
			size += 100
			for _, v := range c.Values {
				size += 16 + len(v)
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil || len(m.entries) >= maxResiduals || m.bytes+size > maxResidualBytes {
		m.entries, m.bytes = map[string]*keptResidual{}, 0
	}
	if size > maxResidualBytes {
		return
	}
	m.entries[k.question] = &keptResidual{k.facts, r}
	m.bytes += size
}
