package s3blob

import (
	"context"
	"net"
	"net/http"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// newHTTPClient returns a client that gives up on connections that stand still.
// Requests as such have no time limit: a slow line is slow for large parts.
func newHTTPClient(timeout time.Duration) *awshttp.BuildableClient {
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.WriteBufferSize = 64 << 10
		t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &watchedConn{Conn: conn, timeout: timeout}, nil
		}
	})
}

// A watchedConn fails once nothing was read and nothing written for some time.
type watchedConn struct {
	net.Conn
	timeout time.Duration
}

func (c *watchedConn) Read(p []byte) (int, error) {
	c.extend()
	return c.Conn.Read(p)
}

// Write also gives a reader more time that is waiting for the answer to what is
// being written.
func (c *watchedConn) Write(p []byte) (int, error) {
	c.extend()
	return c.Conn.Write(p)
}

func (c *watchedConn) extend() {
	_ = c.SetDeadline(time.Now().Add(c.timeout)) //nolint:forbidigo // the deadline of a socket is one of the real clock
}
