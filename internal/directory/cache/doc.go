// Package cache keeps the facts of the organisations that are asked about, and answers from memory
// while that is exact. Its door is Cache; where the facts are and what tells of changes it is given,
// as Store and Feed.
//
// One follower for each organisation has the one life there is (follower.go): a feed (feed.go) and a
// lease (lease.go) drive it, and loads (loads.go) are what is being read meanwhile. It keeps the
// rules feed, lease, D1, D2, D3, own changes and reset of docs/architecture.md.
package cache
