//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"image/color"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// The chart's size, and the room of one bar.
const (
	chartWidth  = 24 * vg.Centimeter
	chartHeight = 10 * vg.Centimeter
	barsRoom    = 1.6 * vg.Centimeter
)

// chart draws commands per second, a group of bars for each contestant, one bar
// for each number in flight: the median of the rounds.
func (r *report) chart(path string) error {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Refund commands a second: %d cores, %d broker(s), sync %s, provider %s", r.Machine.Cores, r.Settings.Replicas, r.Settings.Sync, r.Settings.Provider)
	p.Title.Padding = vg.Points(8)
	p.BackgroundColor = color.White
	p.Y.Label.Text = "commands/s"
	p.Y.Min = 0
	p.Y.Tick.Marker = plot.TickerFunc(wholeTicks)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = nil, gray(225)
	p.Add(grid)
	width := barsRoom / vg.Length(len(r.Settings.InFlight))
	var names []string
	var took []*entry
	for _, e := range r.Entries {
		if e.Skipped == "" && len(e.Runs) > 0 {
			names, took = append(names, e.Name), append(took, e)
		}
	}
	for i, inFlight := range r.Settings.InFlight {
		b, err := bars(took, inFlight, width)
		if err != nil {
			return fmt.Errorf("draw chart: %w", err)
		}
		b.Offset = (vg.Length(i) - vg.Length(len(r.Settings.InFlight)-1)/2) * width
		b.Color = gray(uint8(190 - i*140/len(r.Settings.InFlight)))
		p.Add(b)
		p.Legend.Add(fmt.Sprintf("%d in flight\u2003", inFlight), b) // a space, since other fonts are wider
	}
	p.Legend.Top = true
	p.Legend.XOffs, p.Legend.Padding, p.Legend.ThumbnailWidth = -vg.Centimeter, vg.Points(3), vg.Points(14)
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.6, float64(len(names))-0.4
	p.Y.Max *= 1.2 // room for the legend
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Y.Label.TextStyle, &p.Legend.TextStyle} {
		style.Font.Variant = "Sans"
	}
	if err := p.Save(chartWidth, chartHeight, path); err != nil {
		return fmt.Errorf("draw chart: %w", err)
	}
	return nil
}

// wholeTicks are the usual ones without a fraction in their labels.
func wholeTicks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range ticks {
		if !t.IsMinor() {
			ticks[i].Label = fmt.Sprintf("%.0f", t.Value)
		}
	}
	return ticks
}

// redraw draws anew, and writes the tables anew, from what a run has written as JSON.
func redraw(opts options) error {
	b, err := os.ReadFile(opts.json)
	if err != nil {
		return fmt.Errorf("read report (-json): %w", err)
	}
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		return fmt.Errorf("read report %s: %w", opts.json, err)
	}
	if opts.chart != "" {
		if err := r.chart(opts.chart); err != nil {
			return err
		}
	}
	if opts.markdown == "" {
		return nil
	}
	return r.markdown(opts.markdown)
}

// bars are one number in flight's, a bar for each contestant.
func bars(took []*entry, inFlight int, width vg.Length) (*plotter.BarChart, error) {
	var medians plotter.Values
	for _, e := range took {
		medians = append(medians, e.over(inFlight, perSecond).Median)
	}
	b, err := plotter.NewBarChart(medians, width)
	if err != nil {
		return nil, err
	}
	b.LineStyle.Width = 0
	return b, nil
}

func gray(v uint8) color.Color { return color.RGBA{R: v, G: v, B: v + 12, A: 255} }
