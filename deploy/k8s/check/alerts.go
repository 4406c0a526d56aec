package check

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"sigs.k8s.io/yaml"
)

// Alert is one alerting rule, with how often its group is evaluated.
type Alert struct {
	rulefmt.Rule

	Every time.Duration
}

// Alerts returns the alerting rules of all PrometheusRule objects, parsed and
// checked by Prometheus' own code: expressions, templates, durations.
func (r *Rendered) Alerts() ([]Alert, error) {
	var all []Alert
	for _, o := range r.custom("PrometheusRule") {
		text, err := yaml.Marshal(o.at("spec"))
		if err != nil {
			return nil, fmt.Errorf("encode rules: %w", err)
		}
		groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			return nil, fmt.Errorf("parse rules of %s: %w", o, errs[0])
		}
		for _, g := range groups.Groups {
			for _, rule := range g.Rules {
				all = append(all, Alert{rule, time.Duration(g.Interval)})
			}
		}
	}
	return all, nil
}

// scrape is the distance of samples in Series.
const scrape = time.Minute

// Series are time series in the notation of promtool's unit tests, one sample a
// minute: `up{job="x"} 1 1 0` or `total 0+5x60`.
type Series []storage.Series

// ParseSeries reads the notation.
func ParseSeries(lines ...string) (Series, error) {
	p := parser.NewParser(parser.Options{})
	var all Series
	for _, line := range lines {
		name, values, err := p.ParseSeriesDesc(line)
		if err != nil {
			return nil, fmt.Errorf("parse series %q: %w", line, err)
		}
		var samples []chunks.Sample
		for i, v := range values {
			if !v.Omitted {
				samples = append(samples, sample{int64(i) * scrape.Milliseconds(), v.Value})
			}
		}
		all = append(all, storage.NewListSeries(name, samples))
	}
	return all, nil
}

// Fires evaluates the alert as a server does, from the first sample on, and
// returns the labels of those that fire at the given time: whose expression has
// had a result at each evaluation for as long as the rule's "for" says.
func (a Alert) Fires(ctx context.Context, series Series, at time.Duration) ([]string, error) {
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e6, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{}),
	})
	defer engine.Close() //nolint:errcheck // it has nothing open that could fail
	since := map[string]time.Duration{}
	for now := time.Duration(0); now <= at; now += a.Every {
		query, err := engine.NewInstantQuery(ctx, series, nil, a.Expr, time.UnixMilli(now.Milliseconds()))
		if err != nil {
			return nil, fmt.Errorf("evaluate %s: %w", a.Alert, err)
		}
		result := query.Exec(ctx)
		vector, err := result.Vector()
		if err != nil {
			return nil, fmt.Errorf("evaluate %s: %w", a.Alert, err)
		}
		active := map[string]time.Duration{}
		for _, s := range vector {
			name := s.Metric.String()
			active[name] = now
			if first, ok := since[name]; ok {
				active[name] = first
			}
		}
		since = active
		query.Close()
	}
	var firing []string
	for name, first := range since {
		if at-first >= time.Duration(a.For) {
			firing = append(firing, name)
		}
	}
	slices.Sort(firing)
	return firing, nil
}

// Selectors returns every metric an expression selects, with the labels it
// names in matchers and groupings.
func Selectors(expr string) (metrics, used []string, err error) {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return nil, nil, fmt.Errorf("parse %q: %w", expr, err)
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			metrics = append(metrics, n.Name)
			for _, m := range n.LabelMatchers {
				if m.Name != model.MetricNameLabel {
					used = append(used, n.Name+" "+m.Name)
				}
			}
		case *parser.AggregateExpr:
			for _, m := range under(n.Expr) {
				for _, l := range n.Grouping {
					used = append(used, m+" "+l)
				}
			}
		}
		return nil
	})
	return metrics, used, nil
}

// under returns the metrics under a node.
func under(node parser.Node) []string {
	var all []string
	parser.Inspect(node, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			all = append(all, v.Name)
		}
		return nil
	})
	return all
}

// Base is a metric's name as it is declared: without what a histogram adds.
func Base(metric string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(metric, suffix); ok {
			return base
		}
	}
	return metric
}

// sample is one float at one time.
type sample struct {
	t int64
	f float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

var _ storage.Queryable = Series(nil)

// Querier implements storage.Queryable.
func (s Series) Querier(int64, int64) (storage.Querier, error) { return querier(s), nil }

// querier answers from the series.
type querier Series

// Select implements storage.Querier.
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, s := range q {
		ok := true
		for _, m := range matchers {
			ok = ok && m.Matches(s.Labels().Get(m.Name))
		}
		if ok {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &seriesSet{rest: found}
}

// LabelValues implements storage.Querier.
func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier.
func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (querier) Close() error { return nil }

// seriesSet walks over series.
type seriesSet struct {
	now  storage.Series
	rest []storage.Series
}

func (s *seriesSet) Next() bool {
	if len(s.rest) == 0 {
		return false
	}
	s.now, s.rest = s.rest[0], s.rest[1:]
	return true
}

func (s *seriesSet) At() storage.Series                { return s.now }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
