package s3blob_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"

	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/blob/blobtest"
	"github.com/lcp-tools/lcp/pkg/blob/s3blob"
)

// BenchmarkUpload compares the upload of a stream of 500 MB with what the SDK
// itself makes of a ready file of that size, with the same checksums, on a
// server on this machine.
func BenchmarkUpload(b *testing.B) {
	address := startServer(b)
	data := blobtest.Data(1, 500_000_000)
	b.Run("stream", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		s := open(b, s3blob.Options{Endpoint: address, Prefix: "bench"})
		for b.Loop() {
			_, err := s.Put(b.Context(), "stream", blob.Meta{}, func(w io.Writer) error {
				_, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{bytes.NewReader(data)}, make([]byte, 256<<10))
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("file by the SDK", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		path := filepath.Join(b.TempDir(), "file")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			b.Fatal(err)
		}
		manager := transfermanager.New(newClient(address), func(o *transfermanager.Options) {
			o.ChecksumAlgorithm = types.ChecksumAlgorithmSha256
		})
		for b.Loop() {
			f, err := os.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			_, err = manager.UploadObject(b.Context(), &transfermanager.UploadObjectInput{
				Bucket: aws.String(testBucket), Key: aws.String("bench/file"), Body: f,
			})
			f.Close()
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
