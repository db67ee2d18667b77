package server

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lcp-tools/lcp/pkg/delivery"
	"github.com/lcp-tools/lcp/pkg/store"
)

// Metrics counts what the server does, for Prometheus.
type Metrics struct {
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	issued   *prometheus.HistogramVec
	signing  prometheus.Histogram
	store    *prometheus.HistogramVec
	read     prometheus.Observer // of store
	write    prometheus.Observer // of store
	moves    *prometheus.CounterVec
	reading  *prometheus.CounterVec
	granted  *prometheus.CounterVec
	refusals *prometheus.CounterVec
}

// NewMetrics registers the server's metrics.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lcp_http_requests_total", Help: "Requests answered, by route and status code.",
		}, []string{"route", "code"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lcp_http_request_duration_seconds", Help: "Time to answer a request, by route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}, []string{"route"}),
		issued: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lcp_license_issue_duration_seconds", Help: "Time to make, sign and record a license; the count is that of licenses issued.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1},
		}, []string{"kind"}),
		signing: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lcp_license_sign_duration_seconds", Help: "Time to make and sign a license.",
			Buckets: []float64{.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1},
		}),
		store: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lcp_store_duration_seconds", Help: "Time to read from the database, or to write to it in a transaction, by operation.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}, []string{"op"}),
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lcp_license_moves_total", Help: "Changes of the status of licenses, by event.",
		}, []string{"event"}),
		granted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lcp_gateway_licenses_total", Help: "Licenses that the gateway delivered, by operation and by what authorized it.",
		}, []string{"operation", "by"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lcp_gateway_refusals_total", Help: "Licenses that the gateway refused, by reason.",
		}, []string{"reason"}),
		reading: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lcp_reading_events_total", Help: "Events of reading sessions, by what became of them.",
		}, []string{"status"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.latency, m.issued, m.signing, m.store, m.moves, m.granted, m.refusals, m.reading} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	m.read, m.write = m.store.WithLabelValues(store.Read), m.store.WithLabelValues(store.Write)
	return m, nil
}

// ObserveStore notes how long an operation of the store took.
func (m *Metrics) ObserveStore(op string, took time.Duration) {
	if op == store.Read {
		m.read.Observe(took.Seconds())
	} else {
		m.write.Observe(took.Seconds())
	}
}

// ObserveSigning notes how long it took to make and sign a license.
func (m *Metrics) ObserveSigning(took time.Duration) { m.signing.Observe(took.Seconds()) }

func (m *Metrics) licenseIssued(kind string, d time.Duration) {
	m.issued.WithLabelValues(kind).Observe(d.Seconds())
}

// licenseDelivered counts a license of the gateway, with the time that it took to
// authorize and issue it.
func (m *Metrics) licenseDelivered(o delivery.Operation, by delivery.Mode, d time.Duration) {
	kind := "new"
	if o == delivery.Fresh {
		kind = "fresh"
	}
	m.licenseIssued(kind, d)
	m.granted.WithLabelValues(string(o), string(by)).Inc()
}

func (m *Metrics) licenseRefused(reason delivery.Reason) {
	m.refusals.WithLabelValues(string(reason)).Inc()
}

func (m *Metrics) readingEvents(status string, n int) {
	m.reading.WithLabelValues(status).Add(float64(n))
}

func (m *Metrics) licenseMoved(event string) { m.moves.WithLabelValues(event).Inc() }

// routeMetrics are the metrics of one route, looked up once.
type routeMetrics struct {
	metrics *Metrics
	pattern string
	latency prometheus.Observer

	mu    sync.RWMutex
	codes map[int]prometheus.Counter // guarded by mu
}

func (m *Metrics) route(pattern string) *routeMetrics {
	return &routeMetrics{
		metrics: m, pattern: pattern, latency: m.latency.WithLabelValues(pattern), codes: map[int]prometheus.Counter{},
	}
}

func (r *routeMetrics) observe(code int, d time.Duration) {
	r.mu.RLock()
	c := r.codes[code]
	r.mu.RUnlock()
	if c == nil {
		c = r.metrics.requests.WithLabelValues(r.pattern, strconv.Itoa(code))
		r.mu.Lock()
		r.codes[code] = c
		r.mu.Unlock()
	}
	c.Inc()
	r.latency.Observe(d.Seconds())
}
