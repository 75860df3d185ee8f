package limits

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"straks/internal/cost"
	"straks/orders"
)

// budget is what an organisation spends in a month. An order that is under way counts with the most that it can cost.
type budget struct {
	limit    cost.Amount // 0: none
	spent    calendar    // in millionths, by orders whose cost is known
	reserved calendar    // likewise, at the most, by orders that are under way
}

// soon is when an order may be tried again that there is no room for beside those under way, though the budget is not
// used up. They may cost less than is reserved for them.
const soon = 2 * time.Second

// newBudget returns one that has counted what was spent since now.
func newBudget(now time.Time) budget {
	return budget{spent: calendar{start: startOfMonth, known: now, followed: now}, reserved: calendar{start: startOfMonth}}
}

func (b *budget) refuse(most cost.Amount, at time.Time, currency string) *refusal {
	spent := cost.Amount(b.spent.count(at))
	left := b.limit - spent - cost.Amount(b.reserved.count(at))
	if b.limit == 0 || most == 0 || most <= left {
		return nil
	}
	words := fmt.Sprintf("%s %s in a month (of UTC) for your organisation, its budget,", b.limit, currency)
	if most <= b.limit-spent {
		return &refusal{words: words, until: at.Add(soon)}
	}
	return &refusal{words: words, until: b.spent.end(b.spent.start(at))}
}

// Spend reserves what an order costs at the most, or returns an *orders.LimitError. settle puts what it did cost in the
// place of that; it may be called once.
func (l *Limits) Spend(organisation string, most orders.Cost, at time.Time) (settle func(orders.Cost), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.of[organisation]
	if c == nil {
		return func(orders.Cost) {}, nil
	}
	if r := c.budget.refuse(most.Amount, at, l.cfg.Currency); r != nil {
		l.metrics.refused.WithLabelValues(organisation, RuleBudget).Inc()
		return nil, &orders.LimitError{Rule: RuleBudget, Key: keys[RuleBudget], Limit: r.words, After: max(r.until.Sub(at), time.Second)}
	}
	undo := c.budget.reserved.add(at, int64(most.Amount))
	return func(spent orders.Cost) {
		l.mu.Lock()
		defer l.mu.Unlock()
		undo()
		c.budget.spent.add(at, int64(spent.Amount))
		if l.cfg.Priced && spent.Parts > 0 && spent.Class == "" {
			l.metrics.unpriced.WithLabelValues(organisation).Inc()
		}
	}, nil
}

// Spending is what an organisation has spent in a month.
type Spending struct {
	Organisation string      `json:"organisation"`
	Spent        cost.Amount `json:"spent"`  // with what is reserved for orders that are under way
	Budget       cost.Amount `json:"budget"` // 0: none
}

// Used returns the share of the budget that is spent, "84 %", rounded down; empty without a budget.
func (s Spending) Used() string {
	if s.Budget == 0 {
		return ""
	}
	return fmt.Sprintf("%d %%", int64(100*(s.Spent/s.Budget)+100*(s.Spent%s.Budget)/s.Budget))
}

// Priced reports whether messages have prices.
func (l *Limits) Priced() bool {
	priced, _ := l.prices()
	return priced
}

// prices reports whether messages have prices, and in which currency.
func (l *Limits) prices() (priced bool, currency string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cfg.Priced, l.cfg.Currency
}

// Spending returns what each organisation has spent in the month of a time, by its name.
func (l *Limits) Spending(now time.Time) (all []Spending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, c := range l.of {
		b := &c.budget
		all = append(all, Spending{name, cost.Amount(b.spent.count(now) + b.reserved.count(now)), b.limit})
	}
	slices.SortFunc(all, func(a, b Spending) int { return cmp.Compare(a.Organisation, b.Organisation) })
	return all
}
