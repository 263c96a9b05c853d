package redistest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Replicated is a master, two replicas, and three Sentinels that watch them. Two
// Sentinels that miss the master for a second and a half promote a replica.
//
// Everybody, the master's own clients included, reaches the master over Link.
type Replicated struct {
	Master    *Server // the first one
	Replicas  []*Server
	Sentinels []*Server
	Link      *Link
}

// masterName is what the Sentinels call the master.
const masterName = "clinic"

// settle is how long servers may take to find each other, on a busy machine.
const settle = 60 * time.Second

// StartReplicated starts them, each in a folder of its own in dir, and waits until
// they know each other. arguments are for the master and the replicas.
func StartReplicated(dir string, arguments ...string) (r *Replicated, err error) {
	r = &Replicated{}
	defer func() {
		if err != nil {
			r.Stop()
		}
	}()
	arguments = append([]string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}, arguments...)
	start := func(name string, more ...string) (*Server, error) {
		home := filepath.Join(dir, name)
		if err := os.Mkdir(home, 0o700); err != nil {
			return nil, err
		}
		return Start(home, append(more, arguments...)...)
	}
	if r.Master, err = start("master"); err != nil {
		return r, err
	}
	if r.Link, err = NewLink(r.Master.Addr); err != nil {
		return r, err
	}
	for i := range 2 {
		replica, err := start("replica-"+strconv.Itoa(i), "--replicaof", fmt.Sprintf("127.0.0.1 %d", r.Link.Port()))
		if err != nil {
			return r, err
		}
		r.Replicas = append(r.Replicas, replica)
	}
	for _, replica := range r.Replicas {
		if err = Await(settle, "a replica follows the master", replica.Follows); err != nil {
			return r, err
		}
	}
	for i := range 3 {
		sentinel, err := r.startSentinel(filepath.Join(dir, "sentinel-"+strconv.Itoa(i)))
		if err != nil {
			return r, err
		}
		r.Sentinels = append(r.Sentinels, sentinel)
	}
	return r, Await(settle, "the Sentinels know each other and the replicas", r.isWatched)
}

func (r *Replicated) startSentinel(home string) (*Server, error) {
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	var err error
	for range 5 { // a port found free may be taken
		s := &Server{Dir: home, config: filepath.Join(home, "sentinel.conf")}
		if s.Port, err = FreePort(); err != nil {
			return nil, err
		}
		config := fmt.Sprintf(`port %d
bind 127.0.0.1
dir %s
logfile %s
sentinel monitor %s 127.0.0.1 %d 2
sentinel down-after-milliseconds %s 1500
sentinel failover-timeout %s 4000
`, s.Port, home, filepath.Join(home, "log"), masterName, r.Link.Port(), masterName, masterName)
		if err = os.WriteFile(s.config, []byte(config), 0o600); err != nil {
			return nil, err
		}
		if err = s.Restart(); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("a Sentinel does not start: %w", err)
}

// isWatched reports whether each Sentinel knows the two others and both replicas.
func (r *Replicated) isWatched() bool {
	for _, s := range r.Sentinels {
		state, err := s.table("SENTINEL", "MASTER", masterName)
		if err != nil || state["num-slaves"] != "2" || state["num-other-sentinels"] != "2" || state["flags"] != "master" {
			return false
		}
	}
	return true
}

// URL returns the URL of the Sentinels.
func (r *Replicated) URL() string {
	url := "redis+sentinel://" + r.Sentinels[0].Addr() + "?master_name=" + masterName
	for _, s := range r.Sentinels[1:] {
		url += "&addr=" + s.Addr()
	}
	return url
}

// AwaitPromotion waits until every Sentinel names another master than the first
// one, and returns it.
func (r *Replicated) AwaitPromotion() (*Server, error) {
	var promoted *Server
	err := Await(settle, "a replica is promoted", func() bool {
		ports := map[string]int{}
		for _, s := range r.Sentinels {
			reply, err := s.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName)
			address, ok := reply.([]any)
			if err != nil || !ok || len(address) != 2 {
				return false
			}
			ports[fmt.Sprint(address[1])]++
		}
		for _, replica := range r.Replicas {
			if ports[strconv.Itoa(replica.Port)] == len(r.Sentinels) && replica.isMaster() {
				promoted = replica
				return true
			}
		}
		return false
	})
	return promoted, err
}

// Stop ends all of them.
func (r *Replicated) Stop() {
	for _, s := range r.Sentinels {
		s.Kill()
	}
	for _, s := range r.Replicas {
		s.Kill()
	}
	if r.Master != nil {
		r.Master.Kill()
	}
	if r.Link != nil {
		r.Link.Close()
	}
}

// Await polls until done says so, and is an error that says what was waited for if
// it never does.
func Await(within time.Duration, what string, done func() bool) error {
	for deadline := time.Now().Add(within); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return errors.New("not in time: " + what)
		}
	}
	return nil
}

// Follows reports whether the server is a replica that has what its master has.
func (s *Server) Follows() bool {
	info, err := s.Do("INFO", "replication")
	text, _ := info.(string)
	return err == nil && strings.Contains(text, "role:slave") && strings.Contains(text, "master_link_status:up")
}

// Offset returns how far the server is in what masters tell their replicas.
func (s *Server) Offset() (int64, error) {
	info, err := s.Do("INFO", "replication")
	if err != nil {
		return 0, err
	}
	text, _ := info.(string)
	_, rest, _ := strings.Cut(text, "master_repl_offset:")
	offset, _, _ := strings.Cut(rest, "\r\n")
	return strconv.ParseInt(offset, 10, 64)
}

func (s *Server) isMaster() bool {
	info, err := s.Do("INFO", "replication")
	text, _ := info.(string)
	return err == nil && strings.Contains(text, "role:master")
}

// table is Do for a command that answers with names and values in turn.
func (s *Server) table(args ...string) (map[string]string, error) {
	reply, err := s.Do(args...)
	if err != nil {
		return nil, err
	}
	list, _ := reply.([]any)
	out := map[string]string{}
	for i := 0; i+1 < len(list); i += 2 {
		out[fmt.Sprint(list[i])] = fmt.Sprint(list[i+1])
	}
	return out, nil
}
