package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"straks/smpp/smsctest"
)

// frozen measures what a frozen SMSC costs the orders that go to another: two
// SMSCs, each with numbers of its own, first both well, then one frozen, while
// orders go to both. The results are those of the other.
func (r Run) frozen(ctx context.Context, program, dir string) ([]Result, error) {
	well, err := listen("127.0.0.1:0", 0)
	if err != nil {
		return nil, err
	}
	defer well.Close()
	sick, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{Record: -1})
	if err != nil {
		return nil, err
	}
	defer sick.Close()
	tables := []string{smscTable(carrier, well.Addr(), 200), smscTable("sick", sick.Addr(), 200),
		"[[route]]\nprefixes = [\"+4790\"]\nsmscs = [\"" + carrier + "\"]\n",
		"[[route]]\nprefixes = [\"+4791\"]\nsmscs = [\"sick\"]\n"}
	d, err := StartDaemon(ctx, program, dir, strings.Join(tables, ""))
	if err != nil {
		return nil, err
	}
	var results []Result
	for _, freeze := range []bool{false, true} {
		if freeze {
			sick.Freeze(0)
		}
		var result Result
		if result, err = r.beside(ctx, d, well, freeze); err != nil {
			break
		}
		results = append(results, result)
	}
	sick.Thaw()
	err = errors.Join(err, d.Stop())
	return results, err
}

// beside drives orders to the SMSC that is well while a tenth as many go to the other.
func (r Run) beside(ctx context.Context, d *Daemon, well *simulator, freeze bool) (Result, error) {
	aside, others := make(chan error, 1), NewTrack(r.limit())
	go func() {
		load := Load{Addr: d.API, Clients: 64, Rate: r.Rate / 10, For: r.For, Request: order(d.API, "+4791")}
		aside <- load.Drive(ctx, others)
	}()
	r.Name, r.Clients = "other SMSC well", 32
	if freeze {
		r.Name = "other SMSC frozen"
	}
	acked := well.Stats().Acked
	result, err := r.measure(ctx, d, well, func() int { return int(well.Stats().Acked - acked) })
	if err := <-aside; err != nil {
		return result, fmt.Errorf("orders to the other SMSC: %w", err)
	}
	mine, all := time.Duration(result.Orders), time.Duration(result.Orders)+time.Duration(others.made.Load())
	result.CPU, result.OwnCPU = result.CPU*mine/max(all, 1), result.OwnCPU*mine/max(all, 1)
	return result, err
}
