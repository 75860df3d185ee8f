package postgres

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Some parts of the configuration must be the same on all nodes. Each node writes a hash of each of them beside its lease,
// and compares its own with those of the live ones. A difference is told and counted, and changes nothing, except for the
// dialect of an SMSC: a receipt that one node reads would not meet the answer that another one has read. Then the
// node that has run longest keeps the SMSC, and those that differ from it do not bind: a mistake in the configuration of one
// that was restarted does not stop the others.

// Difference is a part of the configuration that another live node has otherwise.
type Difference struct {
	Part    string `json:"part"`              // a key of Options.Alike
	Nodes   []int  `json:"nodes"`             // that have it otherwise
	Unbound bool   `json:"unbound,omitempty"` // it is the dialect of an SMSC, to which this node does not bind for it
}

const dialectPrefix, dialectSuffix = "smsc.", ".dialect"

// DialectOf returns the part that an SMSC's dialect is in Options.Alike.
func DialectOf(smsc string) string { return dialectPrefix + smsc + dialectSuffix }

// alike returns what must be the same on all nodes, as this one has it now.
func (j *Journal) alike() map[string]string {
	if j.opt.Alike == nil {
		return map[string]string{}
	}
	return j.opt.Alike()
}

// Differences returns what other live nodes have otherwise, by part. It asks the database nothing.
func (j *Journal) Differences() []Difference { return j.lease.differences() }

// strange returns the node that has run longest of those that have a part, if this node has it otherwise; else 0.
func (j *Journal) strange(part string) (keeps int) {
	j.lease.mu.Lock()
	defer j.lease.mu.Unlock()
	return j.lease.strange(part)
}

// mine returns what this node had at its last renewal. The caller holds mu.
func (l *lease) mine() map[string]string {
	for _, n := range l.alive {
		if n.ID == l.j.opt.Node {
			return n.Alike
		}
	}
	return nil
}

// differences is Differences. A part that only one of two nodes has is none of the other's: then the list that it belongs to
// differs.
func (l *lease) differences() (all []Difference) {
	l.mu.Lock()
	defer l.mu.Unlock()
	mine := l.mine()
	for _, part := range slices.Sorted(maps.Keys(mine)) {
		d := Difference{Part: part}
		for _, n := range l.alive {
			if hash, ok := n.Alike[part]; ok && hash != mine[part] {
				d.Nodes = append(d.Nodes, n.ID)
			}
		}
		if len(d.Nodes) > 0 {
			d.Unbound = strings.HasPrefix(part, dialectPrefix) && strings.HasSuffix(part, dialectSuffix) && l.strange(part) != 0
			all = append(all, d)
		}
	}
	return all
}

// strange is Journal.strange. The caller holds mu.
func (l *lease) strange(part string) (keeps int) {
	mine, ok := l.mine()[part]
	if !ok {
		return 0
	}
	var first *Node
	for i := range l.alive {
		n := &l.alive[i]
		if _, ok := n.Alike[part]; ok && (first == nil || n.Started.Before(first.Started)) { // by id, where both began at once
			first = n
		}
	}
	if first.Alike[part] == mine {
		return 0
	}
	return first.ID
}

// tell logs what has changed in the differences between nodes.
func (l *lease) tell() {
	now := make(map[string]Difference)
	for _, d := range l.differences() {
		now[d.Part] = d
		if was := l.told[d.Part]; !slices.Equal(was.Nodes, d.Nodes) || was.Unbound != d.Unbound {
			l.j.log.Warn("the configuration must be the same on all nodes, and is not", slog.String("part", d.Part),
				slog.String("otherwise_on_nodes", fmt.Sprint(d.Nodes)), slog.Bool("unbound", d.Unbound))
		}
	}
	for part := range l.told {
		if _, ok := now[part]; !ok {
			l.j.log.Info("the configuration is the same on all nodes again", slog.String("part", part))
		}
	}
	l.told = now
}

// alikeCollector tells of each part that must be the same on all nodes whether it is not.
type alikeCollector struct{ j *Journal }

var configDiffers = prometheus.NewDesc("straks_node_config_differs",
	"1 while another live node has another value of this part of the configuration, which must be the same on all.", []string{"part"}, nil)

func (c alikeCollector) Describe(to chan<- *prometheus.Desc) { to <- configDiffers }

func (c alikeCollector) Collect(to chan<- prometheus.Metric) {
	parts := make(map[string]float64)
	for part := range c.j.alike() {
		parts[part] = 0
	}
	for _, d := range c.j.Differences() {
		parts[d.Part] = 1
	}
	for part, differs := range parts {
		to <- prometheus.MustNewConstMetric(configDiffers, prometheus.GaugeValue, differs, part)
	}
}
