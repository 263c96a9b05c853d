package authz_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
)

// So much long work is begun at a time, few wait, and the others are told at once to come
// back, before anything was done for them.
func TestLongWorkIsBounded(t *testing.T) {
	p := authz.NewPace(2)
	ctx := authz.WithPace(t.Context(), p)
	var ends []func()
	for range 2 {
		_, end, err := authz.LongWork(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, end)
	}
	brief, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if _, _, err := authz.LongWork(brief); authz.KindOf(err) != authz.TooMany {
		t.Errorf("a third is begun, or waits for all of its time: %v", err)
	}
	var waiting sync.WaitGroup
	results := make(chan error, 40)
	long, stop := context.WithTimeout(ctx, time.Hour)
	defer stop()
	for range 40 {
		waiting.Go(func() {
			_, end, err := authz.LongWork(long)
			if err == nil {
				end()
			}
			results <- err
		})
	}
	for range 40 - 16 { // those for whom there is no room, while nobody has ended
		if err := <-results; authz.KindOf(err) != authz.TooMany {
			t.Fatalf("%v", err)
		}
	}
	for _, end := range ends {
		end()
	}
	waiting.Wait()
	for range 16 {
		if err := <-results; err != nil {
			t.Errorf("one that waited: %v", err)
		}
	}
}

// Work rests while decisions are asked for, and not otherwise; without a pace nothing does.
func TestLongWorkGivesWayToDecisions(t *testing.T) {
	p := authz.NewPace(0)
	work, end, err := authz.LongWork(authz.WithPace(t.Context(), p))
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	over, cancel := context.WithCancel(work)
	time.Sleep(2 * time.Millisecond)
	authz.GiveWay(work) // nobody asks
	time.Sleep(2 * time.Millisecond)
	p.Decision(time.Now())
	for range 3 { // though nobody asks between these
		time.Sleep(2 * time.Millisecond)
		p.Decision(time.Now().Add(-time.Millisecond))
		began := time.Now()
		authz.GiveWay(work)
		if rested := time.Since(began); rested < 9*2*time.Millisecond {
			t.Errorf("it rested for %v", rested)
		}
	}
	time.Sleep(2 * time.Millisecond)
	p.Decision(time.Now())
	cancel()
	authz.GiveWay(over)
	authz.GiveWay(t.Context())
	if _, end, err := authz.LongWork(t.Context()); err != nil {
		t.Error(err)
	} else {
		end()
	}
}
