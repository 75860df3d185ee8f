package examine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// patroniPort is the port of Patroni's REST API, where nothing else is configured there.
	patroniPort = "8008"
	patroniTime = time.Second
)

// judgePatroni asks the hosts for Patroni, and judges its version. No Patroni is no fault: another supervisor may be
// there, or its port closed to this machine.
func judgePatroni(ctx context.Context, hosts []string, port string) Finding {
	for _, host := range hosts {
		version, ok := patroniVersion(ctx, net.JoinHostPort(host, port))
		if !ok {
			continue
		}
		switch {
		case older(version, 3, 0, 3):
			return found("patroni", Fix, "%s runs Patroni %s: before 3.0.3 it may promote a standby that lacks what a primary has acknowledged. Use 4 or later.", host, version)
		case older(version, 4, 0, 0):
			return found("patroni", Note, "%s runs Patroni %s; from 4 on it knows quorum commit (synchronous_mode: quorum). Upgrade it when there is time.", host, version)
		}
		return found("patroni", OK, "%s runs Patroni %s.", host, version)
	}
	return found("patroni", OK, "No Patroni answers on port %s, so its version was not looked at.", port)
}

// patroniVersion asks Patroni's GET /patroni.
func patroniVersion(ctx context.Context, addr string) (version string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patroniTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/patroni", nil)
	if err != nil {
		return "", false
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	var said struct {
		Patroni struct{ Version string }
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&said); err != nil {
		return "", false
	}
	n := numbers(said.Patroni.Version)
	return fmt.Sprintf("%d.%d.%d", n[0], n[1], n[2]), n[0] > 0
}

// numbers returns the first three numbers of a version, 0 where they are missing.
func numbers(version string) (n [3]int) {
	for i, part := range strings.SplitN(version, ".", 4) {
		if i < len(n) {
			n[i], _ = strconv.Atoi(part) // 0 where it is none
		}
	}
	return n
}

func older(version string, least ...int) bool {
	for i, n := range numbers(version) {
		if n != least[i] {
			return n < least[i]
		}
	}
	return false
}
