package redistest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Cluster is three masters with a third of the slots and a replica each. The
// replica of a master that is missed for a second and a half takes its place.
type Cluster struct {
	Nodes []*Server // masters first
}

// slots is the number of slots of every cluster.
const slots = 16384

// StartCluster starts the nodes, each in a folder of its own in dir, and waits until
// all of them say that the cluster works. arguments are for all nodes.
func StartCluster(dir string, arguments ...string) (c *Cluster, err error) {
	c = &Cluster{}
	defer func() {
		if err != nil {
			c.Stop()
		}
	}()
	var buses []int
	for i := range 6 {
		home := filepath.Join(dir, "node-"+strconv.Itoa(i))
		if err := os.Mkdir(home, 0o700); err != nil {
			return c, err
		}
		node, bus, err := startNode(home, arguments)
		if err != nil {
			return c, err
		}
		c.Nodes, buses = append(c.Nodes, node), append(buses, bus)
	}
	for i, node := range c.Nodes { // before they know each other
		if _, err := node.Do("CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return c, err
		}
		if i < 3 {
			if _, err := node.Do("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(i*slots/3), strconv.Itoa((i+1)*slots/3-1)); err != nil {
				return c, err
			}
		}
	}
	for i, node := range c.Nodes {
		for j, other := range c.Nodes {
			if i == j {
				continue
			}
			if _, err := node.Do("CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(other.Port), strconv.Itoa(buses[j])); err != nil {
				return c, err
			}
		}
	}
	if err := Await(settle, "the nodes know each other", c.isMet); err != nil {
		return c, err
	}
	for i := range 3 {
		id, err := c.Nodes[i].id()
		if err != nil {
			return c, err
		}
		if err := Await(settle, "a node becomes a replica", func() bool {
			_, err := c.Nodes[3+i].Do("CLUSTER", "REPLICATE", id)
			return err == nil
		}); err != nil {
			return c, err
		}
	}
	return c, Await(settle, "the cluster works", c.works)
}

// startNode starts one node and returns it and the port of its bus.
func startNode(home string, arguments []string) (*Server, int, error) {
	bus, err := FreePort() // that of clients and 10,000 may be none
	if err != nil {
		return nil, 0, err
	}
	s, err := Start(home, append([]string{
		"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-port", strconv.Itoa(bus),
		"--cluster-node-timeout", "1500", "--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no",
		"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
	}, arguments...)...)
	return s, bus, err
}

func (c *Cluster) isMet() bool {
	for _, node := range c.Nodes {
		reply, err := node.Do("CLUSTER", "NODES")
		text, _ := reply.(string)
		if err != nil || strings.Count(text, " connected") < len(c.Nodes) || strings.Contains(text, "handshake") {
			return false
		}
	}
	return true
}

// works reports whether every node knows three masters with all slots, and every
// replica follows its master.
func (c *Cluster) works() bool {
	for i, node := range c.Nodes {
		reply, err := node.Do("CLUSTER", "INFO")
		text, _ := reply.(string)
		if err != nil || !strings.Contains(text, "cluster_state:ok") || !strings.Contains(text, "cluster_size:3") {
			return false
		}
		reply, err = node.Do("CLUSTER", "NODES")
		text, _ = reply.(string)
		if err != nil || strings.Count(text, "slave") < 3 || i >= 3 && !node.Follows() {
			return false
		}
	}
	return true
}

// URL returns the URL of the cluster.
func (c *Cluster) URL() string {
	url := "redis+cluster://" + c.Nodes[0].Addr()
	for i, node := range c.Nodes[1:] {
		url += string("?&"[min(i, 1)]) + "addr=" + node.Addr()
	}
	return url
}

// Owner returns the master that has the slot of a key, and the slot.
func (c *Cluster) Owner(key string) (*Server, int, error) {
	for _, node := range c.Nodes {
		if !node.isMaster() { // a dead one neither
			continue
		}
		reply, err := node.Do("CLUSTER", "KEYSLOT", key)
		slot, _ := reply.(int64)
		if err != nil {
			return nil, 0, err
		}
		id, err := node.id()
		if err != nil {
			return nil, 0, err
		}
		owner, err := node.ownerOf(int(slot))
		if err != nil {
			return nil, 0, err
		}
		if owner == id {
			return node, int(slot), nil
		}
	}
	return nil, 0, errors.New("no node has the slot of " + key)
}

// ownerOf returns the id of the node that has a slot, as far as s knows.
func (s *Server) ownerOf(slot int) (string, error) {
	reply, err := s.Do("CLUSTER", "NODES")
	if err != nil {
		return "", err
	}
	text, _ := reply.(string)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 8 || !strings.Contains(fields[2], "master") {
			continue
		}
		for _, part := range fields[8:] {
			first, last, isRange := strings.Cut(part, "-")
			from, err := strconv.Atoi(first)
			if err != nil { // one that is being moved
				continue
			}
			to := from
			if isRange {
				if to, err = strconv.Atoi(last); err != nil {
					continue
				}
			}
			if from <= slot && slot <= to {
				return fields[0], nil
			}
		}
	}
	return "", fmt.Errorf("nobody has slot %d", slot)
}

// Replica returns the replica of a master.
func (c *Cluster) Replica(master *Server) (*Server, error) {
	for _, node := range c.Nodes {
		if info, err := node.Do("INFO", "replication"); err == nil &&
			strings.Contains(info.(string), fmt.Sprintf("master_port:%d\r\n", master.Port)) {
			return node, nil
		}
	}
	return nil, errors.New("the master has no replica")
}

// Move is the way of a slot from one master to another.
type Move struct {
	From, To *Server
	Slot     int
	cluster  *Cluster
}

// BeginMove begins to move a slot, and has moved no key of it.
func (c *Cluster) BeginMove(slot int, from, to *Server) (*Move, error) {
	m := &Move{From: from, To: to, Slot: slot, cluster: c}
	source, err := from.id()
	if err != nil {
		return nil, err
	}
	target, err := to.id()
	if err != nil {
		return nil, err
	}
	if _, err := to.Do("CLUSTER", "SETSLOT", strconv.Itoa(slot), "IMPORTING", source); err != nil {
		return nil, err
	}
	_, err = from.Do("CLUSTER", "SETSLOT", strconv.Itoa(slot), "MIGRATING", target)
	return m, err
}

// Keys moves keys of the slot.
func (m *Move) Keys(keys ...string) error {
	_, err := m.From.Do(append([]string{"MIGRATE", "127.0.0.1", strconv.Itoa(m.To.Port), "", "0", "20000", "KEYS"}, keys...)...)
	return err
}

// Some moves up to n keys of the slot, and returns how many there were.
func (m *Move) Some(n int) (int, error) {
	reply, err := m.From.Do("CLUSTER", "GETKEYSINSLOT", strconv.Itoa(m.Slot), strconv.Itoa(n))
	list, _ := reply.([]any)
	if err != nil || len(list) == 0 {
		return 0, err
	}
	keys := make([]string, len(list))
	for i := range list {
		keys[i], _ = list[i].(string)
	}
	return len(keys), m.Keys(keys...)
}

// End hands the slot over, when all its keys were moved, first to the node that has
// them now.
func (m *Move) End() error {
	id, err := m.To.id()
	if err != nil {
		return err
	}
	nodes := []*Server{m.To, m.From}
	for _, node := range m.cluster.Nodes {
		if node != m.To && node != m.From && node.isMaster() {
			nodes = append(nodes, node)
		}
	}
	for _, node := range nodes {
		if _, err := node.Do("CLUSTER", "SETSLOT", strconv.Itoa(m.Slot), "NODE", id); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) id() (string, error) {
	reply, err := s.Do("CLUSTER", "MYID")
	id, _ := reply.(string)
	return id, err
}

// Stop ends all nodes.
func (c *Cluster) Stop() {
	for _, node := range c.Nodes {
		node.Kill()
	}
}
