package protect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/lcp-tools/lcp/pkg/archive"
	"github.com/lcp-tools/lcp/pkg/blob"
	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
	"github.com/lcp-tools/lcp/pkg/publication"
)

// A Pipeline writes plans as protected publications. It owns its buffers, a few
// MiB whatever the size of a publication, and is meant to be used for one after
// the other; several at once want several pipelines.
//
// The parts of a publication are dealt out to lanes, each a goroutine that
// reads, verifies, compresses and encrypts one part at a time into buffers of
// its own. The caller's goroutine takes the lanes' output in the order of the
// parts and writes the archive; a last pair of goroutines hashes and writes the
// bytes. So reading, inflating, encrypting, hashing and writing overlap, several
// parts are in work at once, and the outcome does not depend on their timing.
type Pipeline struct {
	lanes []*lane
	sink  *sink
}

// NewPipeline returns a pipeline for about as many cores, or for all there are
// if cores is zero.
func NewPipeline(cores int) *Pipeline {
	if cores <= 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	// Twice the cores, so that a lane whose output is not wanted yet does not
	// leave a core idle; no more than 8, for memory's sake.
	p := &Pipeline{lanes: make([]*lane, min(2*cores, 8)), sink: newSink()}
	for i := range p.lanes {
		p.lanes[i] = newLane()
	}
	return p
}

// A Result is what is known of a protected publication once it is written.
type Result struct {
	Size      int64    // bytes
	SHA256    [32]byte // of the whole file
	Encrypted []publication.Encrypted
}

// Encrypt writes the publication to w, every part that may be encrypted under
// key. It verifies length and CRC-32 of all that it reads. Progress, if not nil,
// is told how many bytes were written since the last call. After an error, what
// w received is of no use. The errors are those of the archive package for
// damaged sources, publication.ErrNothing, those of w as a WriteError, and the
// cause of ctx. A w that is a blob.Digester is asked for the SHA-256.
func (p *Pipeline) Encrypt(ctx context.Context, plan *publication.Plan, key lcpcrypto.ContentKey, w io.Writer, progress func(int64)) (Result, error) {
	encrypted := Encrypted(plan)
	if len(encrypted) == 0 {
		return Result{}, publication.ErrNothing
	}
	parts, err := declared(plan, encrypted)
	if err != nil {
		return Result{}, err
	}
	if progress == nil {
		progress = func(int64) {}
	}
	out := p.output(w)
	err = p.write(ctx, out, parts, key, progress)
	size, sum, outErr := out.finish(err == nil)
	if outErr != nil && !errors.Is(err, outErr) {
		err = errors.Join(err, outErr)
	}
	if err != nil {
		return Result{}, err
	}
	return Result{Size: size, SHA256: sum, Encrypted: encrypted}, nil
}

// output is where the archive goes on its way to w.
func (p *Pipeline) output(w io.Writer) output {
	if d, ok := w.(blob.Digester); ok {
		return &direct{to: d}
	}
	p.sink.start(w)
	return p.sink
}

// Encrypted lists what the plan's protected publication declares as encrypted.
func Encrypted(plan *publication.Plan) []publication.Encrypted {
	var list []publication.Encrypted
	for i := range plan.Parts {
		if part := &plan.Parts[i]; part.Encrypt() {
			list = append(list, publication.Encrypted{
				Name: part.Name, Deflated: part.Compress(), OriginalLength: part.Size(),
				Scheme: publication.Scheme, Algorithm: publication.Algorithm,
			})
		}
	}
	return list
}

// declared returns the parts with the declaration filled in.
func declared(plan *publication.Plan, encrypted []publication.Encrypted) ([]publication.Part, error) {
	data, err := plan.Declare(encrypted)
	if err != nil {
		return nil, fmt.Errorf("declare the encrypted resources: %w", err)
	}
	parts := make([]publication.Part, len(plan.Parts))
	copy(parts, plan.Parts)
	for i := range parts {
		if parts[i].Declaration {
			parts[i].Data, parts[i].Entry, parts[i].File = data, nil, nil
		}
	}
	return parts, nil
}

// write runs the lanes over the parts and writes the archive to the output. When
// it returns, no lane is running.
func (p *Pipeline) write(ctx context.Context, out output, parts []publication.Part, key lcpcrypto.ContentKey, progress func(int64)) error {
	ctx, cancel := context.WithCancel(ctx)
	lanes := p.lanes[:min(len(p.lanes), len(parts))]
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i, l := range lanes {
		l.reset()
		running.Go(func() {
			for n := i; n < len(parts) && l.run(ctx, &parts[n], key); n += len(lanes) {
			}
		})
	}
	zw := archive.NewWriter(out)
	for i := range parts {
		if err := lanes[i%len(lanes)].writeTo(ctx, zw, progress); err != nil {
			return err
		}
	}
	return zw.Close()
}
