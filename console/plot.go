package console

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"
)

// Measures of a plot, in its own units.
const (
	plotWidth  = 240
	plotHeight = 44
	plotBars   = 60
)

// plot draws counts over time as bars, the newest at the right. The part of a bar that failed is marked. The
// label says the same in words.
func plot(label string, all, failed []float64) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plot" viewBox="0 0 %d %d" role="img" aria-label="%s" preserveAspectRatio="none"><title>%[3]s</title>`, plotWidth, plotHeight, html.EscapeString(label))
	most := math.SmallestNonzeroFloat64
	if len(all) > 0 {
		most = max(most, slices.Max(all))
	}
	const step = float64(plotWidth) / plotBars
	all, failed = all[max(len(all)-plotBars, 0):], failed[max(len(failed)-plotBars, 0):]
	for i, v := range all {
		x := plotWidth - step*float64(len(all)-i)
		bar(&b, "bar", x, v/most)
		if i < len(failed) && failed[i] > 0 {
			bar(&b, "bar failed", x, failed[i]/most)
		}
	}
	fmt.Fprintf(&b, `<line class="axis" x1="0" y1="%[2]d" x2="%[1]d" y2="%[2]d"/></svg>`, plotWidth, plotHeight-1)
	return template.HTML(b.String()) // numbers, and a label that is escaped
}

// latencyOf draws the response times, with its label in words.
func (l lang) latencyOf(title string, t Traffic) template.HTML {
	most := 0.0
	for _, v := range t.Waits {
		most = max(most, v)
	}
	asTime := func(ms float64) string { return l.decimal(span(time.Duration(ms * float64(time.Millisecond)))) }
	return plot(l.say("latencyLabel", title, asTime(most), t.Step.Round(time.Second).String()), t.Waits, nil)
}

// bar draws one bar. One that is not empty is at least a line high.
func bar(b *strings.Builder, class string, x, share float64) {
	if share <= 0 {
		return
	}
	height := max(share*(plotHeight-4), 1.5)
	fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, x, plotHeight-1-height, float64(plotWidth)/plotBars-0.8, height)
}

// plotOf draws the traffic, with its label in words.
func (l lang) plotOf(title string, t Traffic) template.HTML {
	all, failed, most := 0.0, 0.0, 0.0
	for i, v := range t.Rate {
		all, most = all+v, max(most, v)
		if i < len(t.Failed) {
			failed += t.Failed[i]
		}
	}
	return plot(l.say("plotLabel", title, number(all), number(most), t.Step.Round(time.Second).String(), number(failed)), t.Rate, t.Failed)
}
