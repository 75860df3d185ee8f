package codes

import (
	"context"
	"encoding/json"
	"log/slog"
)

// FeedQuery asks for entries of an organisation's feed. It is orders.FeedQuery of another feed.
type FeedQuery struct {
	Organisation string
	Seq          uint64 // exclusive; Descending from 0 starts at the newest
	Limit        int
	Descending   bool
	FinalOnly    bool // leaves out the entries of pending verifications
}

// Feed returns entries of the feed. An entry that can't be read is logged and skipped.
func (s *Service) Feed(ctx context.Context, q FeedQuery) (page []Entry, err error) {
	if q.Limit <= 0 {
		return nil, nil
	}
	for seq := q.Seq; len(page) < q.Limit; {
		var records []FeedRecord
		want := q.Limit - len(page)
		err := s.cfg.Store.ViewCodes(ctx, func(r Reader) (err error) {
			records, err = r.Feed(q.Organisation, seq, want, q.Descending)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			seq = r.Seq
			e := Entry{Seq: r.Seq, Organisation: q.Organisation}
			if err := json.Unmarshal(r.Entry, &e); err != nil {
				s.sampled.Write("feed", slog.LevelError, "entry of the feed of verifications skipped: not of a form that this program knows", slog.Uint64("seq", r.Seq))
				continue
			}
			if e.Status.Final() || !q.FinalOnly {
				page = append(page, e)
			}
		}
		if len(records) < want {
			break
		}
	}
	return page, nil
}

// Changed returns a channel that is closed when this process has next stored an entry of the organisation's feed, as
// orders.Service.Changed.
func (s *Service) Changed(organisation string) <-chan struct{} { return s.changes.Next(organisation) }
