package s3blob_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/blob/blobtest"
	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
)

// The store takes credentials from the environment, as users give them. None of
// this machine's own may play a part.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			os.Unsetenv(name)
		}
	}
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "testsecret", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		os.Setenv(name, value)
	}
	code := m.Run()
	stopServer()
	os.Exit(code)
}

const testBucket = "books"

// server is a real S3-compatible server, started by the first test that asks.
var server struct {
	once    sync.Once
	address string
	skip    string
	cmd     *exec.Cmd
	stdin   io.Closer
}

// startServer returns its address. It has a bucket already.
func startServer(tb testing.TB) string {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: no S3 server")
	}
	server.once.Do(func() { server.skip = runServer() })
	if server.skip != "" {
		tb.Skip("no S3 server: " + server.skip)
	}
	return server.address
}

// runServer returns why there is no server, or "".
func runServer() string {
	const script = "../../../scripts/s3server.sh"
	// The first build downloads and compiles much.
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, script, "--build").CombinedOutput(); err != nil {
		return err.Error() + ": " + string(out)
	}
	cmd := exec.Command(script)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err.Error()
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err.Error()
	}
	if err := cmd.Start(); err != nil {
		return err.Error()
	}
	server.cmd, server.stdin = cmd, stdin
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return "it printed no address: " + err.Error()
	}
	server.address = strings.TrimSpace(line)
	_, err = newClient(server.address).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(testBucket)})
	if err != nil {
		return err.Error()
	}
	return ""
}

func stopServer() {
	if server.cmd != nil {
		server.stdin.Close()
		_ = server.cmd.Wait()
	}
}

// newClient is a client of its own, for tests to look at what there is.
func newClient(address string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &address, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("test", "testsecret", ""),
	})
}

func open(tb testing.TB, o s3blob.Options) *s3blob.Store {
	tb.Helper()
	if o.Bucket == "" {
		o.Bucket = testBucket
	}
	o.PathStyle = true
	s, err := s3blob.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	address := startServer(t)
	var mu sync.Mutex
	prefixes := 0
	blobtest.Run(t, func(t *testing.T) blob.Store {
		mu.Lock()
		defer mu.Unlock()
		prefixes++
		return open(t, s3blob.Options{Endpoint: address, Prefix: "contract/" + string(rune('a'+prefixes)), PartSize: 5 << 20})
	})
}

// The contract holds for a server that knows of no tags and gives no checksums.
func TestContractOnPlainServer(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Store {
		return newFake(t).open(t, s3blob.Options{PartSize: 5 << 20})
	})
}
