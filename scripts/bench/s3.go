package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// What scripts/s3server.sh says of itself.
const (
	s3Key, s3Secret = "test", "testsecret"
	s3Region        = "us-east-1"
	s3Bucket        = "bench"
)

// An s3Server is an S3-compatible server on this machine.
type s3Server struct {
	address string
	cmd     *exec.Cmd
	stdin   io.Closer
}

// startS3 starts a server with an empty bucket.
func startS3(ctx context.Context, dir string) (*s3Server, error) {
	cmd := exec.CommandContext(ctx, "scripts/s3server.sh", dir) //nolint:gosec // a folder of our own
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &s3Server{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("it printed no address: %w", err)
	}
	s.address = strings.TrimSpace(line)
	if _, err := newS3Client(s.address).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(s3Bucket)}); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *s3Server) stop() {
	s.stdin.Close()
	_ = s.cmd.Wait() // it was told to end
}

func newS3Client(address string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &address, Region: s3Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s3Key, s3Secret, ""),
	})
}

// uploadReady uploads a file as the SDK does it, with the checksums that lcp sends.
func uploadReady(ctx context.Context, address, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	manager := transfermanager.New(newS3Client(address), func(o *transfermanager.Options) {
		o.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
	})
	_, err = manager.UploadObject(ctx, &transfermanager.UploadObjectInput{
		Bucket: aws.String(s3Bucket), Key: aws.String("ready"), Body: f,
	})
	return err
}

// toS3 compares encrypting into a bucket with encrypting to the disk, and with
// uploading the ready file, each as a process of its own: what takes the longer of
// the two is what encrypting into a bucket cannot do without.
func (b *bench) toS3(ctx context.Context, s *s3Server, in input) (r round, err error) {
	out := filepath.Join(b.tmp, "out")
	defer os.RemoveAll(out)
	data := filepath.Join(b.tmp, "data")
	flush()
	disk, err := measure(ctx, b.lcp, "encrypt", "--out", out, "--filename", "ready", "--data-dir", data, in.files[0])
	if err != nil {
		return r, err
	}
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	flush()
	sdk, err := measure(ctx, self, "-upload", s.address, filepath.Join(out, "ready.epub"))
	if err != nil {
		return r, err
	}
	flush()
	r.lcp, err = measureWith(ctx, []string{"AWS_ACCESS_KEY_ID=" + s3Key, "AWS_SECRET_ACCESS_KEY=" + s3Secret}, b.lcp,
		"encrypt", "--storage", "s3://"+s3Bucket, "--s3-endpoint", s.address, "--s3-path-style", "--s3-region", s3Region,
		"--filename", "streamed", "--data-dir", data, in.files[0])
	if err != nil {
		return r, err
	}
	r.disk, r.sdk, r.ref = disk.wall, sdk.wall, disk
	if sdk.wall > disk.wall {
		r.ref = sdk
	}
	return r, sameObject(ctx, s, filepath.Join(out, "ready.epub"))
}

// sameObject sees that what was streamed is as long as the ready file, and removes
// both objects.
func sameObject(ctx context.Context, s *s3Server, ready string) error {
	info, err := os.Stat(ready)
	if err != nil {
		return err
	}
	client := newS3Client(s.address)
	head, err := client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(s3Bucket), Key: aws.String("streamed.epub")})
	if err != nil {
		return err
	}
	if aws.ToInt64(head.ContentLength) != info.Size() {
		return fmt.Errorf("the object has %d bytes, the file %d", aws.ToInt64(head.ContentLength), info.Size())
	}
	for _, key := range []string{"streamed.epub", "ready"} {
		if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(s3Bucket), Key: aws.String(key)}); err != nil {
			return err
		}
	}
	return nil
}
