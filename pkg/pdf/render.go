package pdf

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const (
	renderedSide = 1600 // pixels of the longer side
	killDelay    = time.Second
)

// RenderCover draws the first page of the PDF file at path with pdftoppm of
// poppler, the program found at program, and returns it as JPEG of at most
// 16 MiB. The caller sets the time limit in ctx, at whose end the program is
// killed. The program reads an untrusted file, so it gets nothing of this
// process's environment, which may hold secrets.
func RenderCover(ctx context.Context, program, path string) ([]byte, error) {
	path, err := filepath.Abs(path) // a name that begins with - is no option then
	if err != nil {
		return nil, fmt.Errorf("render cover: %w", err)
	}
	cmd := exec.CommandContext(ctx, program, "-q", "-jpeg", "-f", "1", "-l", "1", "-singlefile", //nolint:gosec // the program is the caller's choice
		"-scale-to", strconv.Itoa(renderedSide), path)
	cmd.Env = []string{"LC_ALL=C"}
	cmd.WaitDelay = killDelay
	stdout, stderr := capped{left: maxCover}, capped{left: maxText}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("render cover: %w", context.Cause(ctx))
	case stdout.full:
		return nil, fmt.Errorf("render cover: %s gives more than %d bytes", program, maxCover)
	case err != nil:
		return nil, fmt.Errorf("render cover: %s: %w: %s", program, err, cleanText(string(stderr.data)))
	case !bytes.HasPrefix(stdout.data, []byte("\xFF\xD8\xFF")):
		return nil, fmt.Errorf("render cover: %s gives no JPEG", program)
	}
	return stdout.data, nil
}

// capped keeps the first bytes written to it and drops what is beyond its bound.
type capped struct {
	data []byte
	left int
	full bool
}

func (c *capped) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.data, c.left = append(c.data, p[:n]...), c.left-n
	c.full = c.full || n < len(p)
	return len(p), nil
}
