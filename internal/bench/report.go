package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// A report is the table.
type report struct {
	rows     []row
	pressure float64 // percent, before anything was measured
}

// quiet is the most pressure at which the verdicts are worth their name.
const quiet = 10

// A row compares one figure of sshmint with the same of something else.
type row struct {
	what    string
	value   string
	beside  string // with its name
	ratio   string // with the quartiles of the repetitions
	floor   string // that must hold
	aim     string
	verdict string
}

// A goal is a floor that must hold and an aim beyond it, 0 where there is none.
type goal struct {
	floor, aim float64
	least      bool // they are the least, not the most
	unit       string
}

func (g goal) text(v float64) string {
	switch {
	case v == 0:
		return ""
	case g.least:
		return fmt.Sprintf("≥ %g%s", v, g.unit)
	}
	return fmt.Sprintf("≤ %g%s", v, g.unit)
}

func (g goal) missed(limit, v float64) bool {
	return limit != 0 && (g.least && v < limit || !g.least && v > limit)
}

func (g goal) verdict(v float64) string {
	switch {
	case g.floor == 0 && g.aim == 0:
		return ""
	case g.missed(g.floor, v):
		return "**floor missed**"
	case g.missed(g.aim, v):
		return "aim missed"
	}
	return "yes"
}

// ratio adds a row for values that were measured in turns.
func (r *report) ratio(what, other string, format func(float64) string, ours, theirs []float64, g goal) {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / theirs[i]
	}
	slices.Sort(ratios)
	m := quantile(ratios, 50)
	r.rows = append(r.rows, row{
		what: what, value: format(median(ours)), beside: other + " " + format(median(theirs)),
		ratio: fmt.Sprintf("%s (%s to %s)", short(m), short(quantile(ratios, 25)), short(quantile(ratios, 75))),
		floor: g.text(g.floor), aim: g.text(g.aim), verdict: g.verdict(m),
	})
}

// value adds a row for a figure that is judged by itself; v is in the goal's unit.
func (r *report) value(what, value, beside string, v float64, g goal) {
	r.rows = append(r.rows, row{what: what, value: value, beside: beside, floor: g.text(g.floor), aim: g.text(g.aim), verdict: g.verdict(v)})
}

func (r *report) sign(clients int, ours, byCert, byKey, floor []sample) {
	var latency, overhead, rate goal
	if clients == 1 {
		latency, overhead = goal{floor: 0.25, aim: 0.2, unit: "x"}, goal{aim: 1.5, unit: "x"}
	}
	if clients == 64 {
		rate = goal{floor: 10, aim: 12, least: true, unit: "x"}
	}
	title := fmt.Sprintf("sign, %s", count(clients))
	r.ratio(title+", p50", agentByCert, micro, each(ours, p50), each(byCert, p50), latency)
	r.ratio(title+", p50", agentByKey, micro, each(ours, p50), each(byKey, p50), latency)
	r.ratio(title+", p50", rawSignature, micro, each(ours, p50), each(floor, p50), overhead)
	r.ratio(title+", p99", agentByCert, micro, each(ours, p99), each(byCert, p99), goal{})
	r.ratio(title+", p99", agentByKey, micro, each(ours, p99), each(byKey, p99), goal{})
	r.ratio(title, agentByCert, perSecond, each(ours, rateOf), each(byCert, rateOf), rate)
	r.ratio(title, agentByKey, perSecond, each(ours, rateOf), each(byKey, rateOf), rate)
	r.ratio(title, rawSignature, perSecond, each(ours, rateOf), each(floor, rateOf), goal{})
}

// What sshmint is beside.
const (
	agentByCert  = "ssh-agent, certificate named:"
	agentByKey   = "ssh-agent, plain key named:"
	rawSignature = "raw signature:"
	sshAgent     = "ssh-agent:"
)

func (r *report) list(clients int, ours, theirs []sample) {
	title := fmt.Sprintf("list, %s", count(clients))
	r.ratio(title+", p50", sshAgent, micro, each(ours, p50), each(theirs, p50), goal{})
	r.ratio(title+", p99", sshAgent, micro, each(ours, p99), each(theirs, p99), goal{})
	r.ratio(title, sshAgent, perSecond, each(ours, rateOf), each(theirs, rateOf), goal{})
}

func (r *report) bound(ours, theirs []sample) {
	r.ratio("sign, bound connection, p50", agentByCert, micro, each(ours, p50), each(theirs, p50), goal{floor: 0.25, aim: 0.2, unit: "x"})
	r.ratio("sign, bound connection, p99", agentByCert, micro, each(ours, p99), each(theirs, p99), goal{})
}

func each(samples []sample, of func(sample) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	return values
}

func p50(s sample) float64    { return float64(s.p50) }
func p99(s sample) float64    { return float64(s.p99) }
func rateOf(s sample) float64 { return s.rate }

func micro(v float64) string     { return fmt.Sprintf("%.0f µs", v/float64(time.Microsecond)) }
func milli(v float64) string     { return fmt.Sprintf("%.2f ms", v/float64(time.Millisecond)) }
func perSecond(v float64) string { return fmt.Sprintf("%.0f/s", v) }

func short(v float64) string {
	switch {
	case v >= 9.995:
		return fmt.Sprintf("%.1fx", v)
	case v < 0.0995:
		return fmt.Sprintf("%.3fx", v)
	}
	return fmt.Sprintf("%.2fx", v)
}

func count(clients int) string {
	if clients == 1 {
		return "1 client"
	}
	return fmt.Sprintf("%d clients", clients)
}

func (r *report) write(w io.Writer, title string) error {
	if r.pressure > quiet {
		// A program of many threads gets more of a crowded processor than one of a
		// single thread, and a processor that never idles wakes nobody late.
		title += fmt.Sprintf("\n\n**Other work kept the processors busy before this began (pressure %.0f %%). The verdicts are not those of a quiet machine.**", r.pressure)
	}
	if _, err := fmt.Fprintf(w, "%s\n\n| what | sshmint | beside it | ratio (quartiles) | floor | aim | holds |\n|---|---|---|---|---|---|---|\n", title); err != nil {
		return err
	}
	for _, row := range r.rows {
		if _, err := fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n",
			row.what, row.value, row.beside, row.ratio, row.floor, row.aim, row.verdict); err != nil {
			return err
		}
	}
	return nil
}

// logins are not paired one by one: a hiccup of the machine hits one login.
func (r *report) logins(ours, theirs []float64, planned int) {
	a, b := median(ours), median(theirs)
	g := goal{floor: 1.02, unit: "x"}
	verdict := g.verdict(a / b)
	if len(ours) < planned {
		verdict = fmt.Sprintf("not judged: %d pairs were planned", planned)
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	r.rows = append(r.rows, row{
		what: fmt.Sprintf("`ssh host true`, %d pairs, p50", len(ours)), value: milli(a), beside: sshAgent + " " + milli(b),
		ratio: fmt.Sprintf("%.3fx (%.3fx to %.3fx)", a/b, quantile(ours, 25)/quantile(theirs, 25), quantile(ours, 75)/quantile(theirs, 75)),
		floor: g.text(g.floor), verdict: verdict,
	})
}
