package main

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lcp-tools/lcp/pkg/catalogue"
)

// watchMetrics counts what a watch does, for Prometheus.
type watchMetrics struct {
	registry *prometheus.Registry
	files    *prometheus.CounterVec
	bytes    prometheus.Counter
	seconds  prometheus.Histogram
	last     prometheus.Gauge
	owed     prometheus.Gauge
}

func newWatchMetrics() *watchMetrics {
	m := &watchMetrics{
		registry: prometheus.NewRegistry(),
		files: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lcp_watch_files_total", Help: "Files that something became of: done, kept (done before a restart), failed, retried, changed.",
		}, []string{"result"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lcp_watch_bytes_total", Help: "Bytes of protected publications stored.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lcp_watch_duration_seconds", Help: "Time from opening a file to its registration.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 10, 30, 60, 300},
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lcp_watch_last_done_timestamp_seconds", Help: "When the last file was done.",
		}),
		owed: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lcp_watch_notifications_owed", Help: "Publications that the CMS is still to be told of.",
		}),
	}
	for _, result := range []string{"done", "kept", "failed", "retried", "changed"} {
		m.files.WithLabelValues(result) // shown from the start
	}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.files, m.bytes, m.seconds, m.last, m.owed)
	return m
}

func (m *watchMetrics) count(result string) { m.files.WithLabelValues(result).Inc() }

func (m *watchMetrics) done(rec catalogue.Record) {
	m.count("done")
	m.bytes.Add(float64(rec.Size))
	m.seconds.Observe(rec.Seconds)
	m.last.SetToCurrentTime()
}

// serveMetrics shows the counters, if that is wanted, until ctx is done.
func (w *watch) serveMetrics(ctx context.Context, side *sync.WaitGroup) error {
	for name, value := range map[string]func() int{
		"waiting": func() int { return w.inbox.Stats().Waiting },
		"in_hand": func() int { return w.inbox.Stats().InHand },
	} {
		w.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "lcp_watch_" + name, Help: "Files " + map[string]string{
				"waiting": "waiting to be whole, or for their turn; there may be more that are not looked at yet.", "in_hand": "that are worked on.",
			}[name],
		}, func() float64 { return float64(value()) }))
	}
	if w.o.watch.metrics == "" {
		return nil
	}
	l, err := listen(ctx, w.o.watch.metrics)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.metrics.registry, promhttp.HandlerOpts{}))
	side.Go(func() {
		if err := serveOn(ctx, l, mux, TLS{}, time.Second, slog.New(slog.DiscardHandler)); err != nil {
			w.app.complainf("%v", err)
		}
	})
	w.app.notef("counters are at http://%s/metrics", l.Addr())
	return nil
}
