package examine

import (
	"regexp"
	"strconv"
	"strings"
)

var quorumForm = regexp.MustCompile(`(?is)^\s*(?:(any|first)\s+)?(\d+)\s*\((.+)\)\s*$`)

// quorum returns how many standbys each commit waits for by synchronous_standby_names: 0 where it is empty. A plain
// list of names stands for FIRST 1.
func quorum(names string) int {
	if strings.TrimSpace(names) == "" {
		return 0
	}
	if m := quorumForm.FindStringSubmatch(names); m != nil {
		n, _ := strconv.Atoi(m[2]) // of digits; the server has taken it
		return n
	}
	return 1
}
