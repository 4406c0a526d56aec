package console

import "github.com/countermand/countermand/payment"

// A chart shows one bar for each minute of the last hour. Its numbers are those of
// an SVG whose view box has one unit per minute and is chartHeight high.
type chart struct {
	Title, Class string
	Total, Peak  int
	Bars         []bar
}

type bar struct {
	X, Y, Height float64
	Minutes, N   int // how many minutes ago, and how many
}

const chartHeight = 20

func newChart(title, class string, each [minutes]int, total int) chart {
	ch := chart{Title: title, Class: class, Total: total}
	for _, n := range each {
		ch.Peak = max(ch.Peak, n)
	}
	for i, n := range each {
		if n > 0 {
			h := max(float64(n)/float64(ch.Peak)*chartHeight, 1)
			ch.Bars = append(ch.Bars, bar{X: float64(i) + 0.1, Y: chartHeight - h, Height: h, Minutes: minutes - 1 - i, N: n})
		}
	}
	return ch
}

// charts are the charts of the overview.
func (f *Feed) charts() []chart {
	list := []chart{}
	for _, one := range []struct {
		title, class string
		types        []payment.EventType
	}{
		{"Succeeded", "succeeded", []payment.EventType{payment.EventSucceeded}},
		{"Failed", "failed", []payment.EventType{payment.EventFailed}},
		{"Rejected", "rejected", []payment.EventType{payment.EventRejected}},
		{"Indeterminate or pending", "indeterminate", []payment.EventType{payment.EventIndeterminate, payment.EventPending}},
		{"Deferred", "deferred", []payment.EventType{payment.EventDeferred}},
	} {
		var each [minutes]int
		sum := 0
		for _, t := range one.types {
			of, total := f.series(t)
			sum += total
			for i, n := range of {
				each[i] += n
			}
		}
		list = append(list, newChart(one.title, one.class, each, sum))
	}
	return list
}
