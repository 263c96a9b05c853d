package directory

import (
	"math"

	"github.com/maypok86/otter/v2"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/cache"
	"github.com/caregate/caregate/internal/directory/layout"
)

// parsedBytes bounds what a directory without a cache keeps of facts that it has
// read and taken apart.
const parsedBytes = 16 << 20

// parsed remembers what hashes were taken apart into. It is asked with what Redis
// says now: the same text is the same fact, whatever happened in between, and comes
// in the form that was prepared for evaluation before. It saves the taking apart
// and no reading. The zero value remembers nothing.
type parsed struct {
	facts *otter.Cache[parsedKey, parsedFact]
}

// parsedKey names an entity. Organisations may have equal ids.
type parsedKey struct {
	organisation string
	authz.Key
}

type parsedFact struct {
	text string
	fact *authz.Fact
}

func newParsed() parsed {
	return parsed{otter.Must(&otter.Options[parsedKey, parsedFact]{
		MaximumWeight: parsedBytes,
		Weigher: func(key parsedKey, f parsedFact) uint32 {
			n := uint64(cache.Weigh(f.fact)) + uint64(len(f.text)+len(key.organisation))
			return uint32(min(n, math.MaxUint32))
		},
	})}
}

// factOf is factOf for a hash of an organisation.
func (p parsed) factOf(organisation string, key authz.Key, reply any) (*authz.Fact, error) {
	text, isText := reply.(string)
	if p.facts == nil || !isText || text == "" {
		return layout.FactOf(key, reply)
	}
	at := parsedKey{organisation, key}
	if known, ok := p.facts.GetIfPresent(at); ok && known.text == text {
		return known.fact, nil
	}
	fact, err := layout.FactOf(key, reply)
	if err == nil && fact != nil {
		p.facts.Set(at, parsedFact{text, fact})
	}
	return fact, err
}
