package httpapi

import "time"

// SetStreamTimes changes how often a stream gives signs of life, and how long a
// caller may take for what is sent.
func (a *API) SetStreamTimes(pulse, write time.Duration) {
	a.streams.pulse, a.streams.write = pulse, write
}

// OpenStreams returns how many callers follow the changes.
func (a *API) OpenStreams() int64 { return a.streams.open.Load() }
