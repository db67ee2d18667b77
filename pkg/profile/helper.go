package profile

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/lcp-tools/lcp/pkg/lcpcrypto"
)

// Failures of a Helper.
var (
	ErrHelper        = errors.New("profile helper") // all others but ErrHelperClosed wrap it
	ErrHelperTimeout = fmt.Errorf("%w did not answer in time", ErrHelper)
	ErrHelperClosed  = errors.New("profile helper was closed")
)

// A Refusal is a helper's own "error" answer. It wraps ErrHelper.
type Refusal struct {
	Reason string // what the helper wrote
}

func (e *Refusal) Error() string { return fmt.Sprintf("%v refused: %q", ErrHelper, e.Reason) }

// Unwrap returns ErrHelper.
func (*Refusal) Unwrap() error { return ErrHelper }

const (
	// maxAnswer is the longest line in bytes that a helper may answer with.
	maxAnswer = 1024
	// defaultTimeout is how long one request may take.
	defaultTimeout = 2 * time.Second
	// restartPause is how long nothing is started after a program that has died
	// or hung without a single answer, so that one that cannot work is not started
	// for every license.
	restartPause = time.Second
	// exitGrace is how long a program may take to end once its input has.
	exitGrace = time.Second
)

// HelperOptions say which program a Helper runs.
type HelperOptions struct {
	Argv    []string      // program and arguments; no shell is involved
	Dir     string        // where it runs; "" for the working directory
	Env     []string      // "key=value"; nil for the environment of this process
	Stderr  io.Writer     // gets what the program writes there; nil for nowhere
	Timeout time.Duration // of one request, waiting for its turn included; 0 for 2 s
}

// A Helper derives user keys by asking a program that a provider supplies. It
// starts the program when first asked, keeps it running, and starts it again
// when it has died or been killed for not answering.
//
// The program reads requests from its standard input and answers each on its
// standard output, one line a request, in the order they came:
//
//	<profile URI> <hash, 64 lower-case hexadecimal digits>
//	<user key, 64 hexadecimal digits>   or   error <reason>
//
// It is asked one thing at a time, so an answer cannot be mistaken for that of
// another request, unless the program writes a line nobody asked for: then, and
// after anything else that is not an answer, it is killed. Its reasons are
// repeated in errors, and what it writes to its standard error is passed on; it
// must put no secret in either.
//
// A Helper is safe for concurrent use. Its owner must Close it.
type Helper struct {
	options  HelperOptions
	requests chan helperRequest
	closing  chan struct{} // closed by Close
	closed   chan struct{} // closed when nothing of the helper is left
	once     sync.Once
}

var _ Deriver = (*Helper)(nil)

// A helperRequest is a line to write, and where its answer goes.
type helperRequest struct {
	line   string
	answer chan<- helperAnswer // of capacity 1
}

type helperAnswer struct {
	key lcpcrypto.UserKey
	err error
}

// NewHelper returns a helper for the program in o, which must exist. The program
// itself starts with the first request.
func NewHelper(o HelperOptions) (*Helper, error) {
	if len(o.Argv) == 0 || o.Argv[0] == "" {
		return nil, fmt.Errorf("%w: no program is given", ErrHelper)
	}
	if _, err := exec.LookPath(o.Argv[0]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHelper, err)
	}
	o.Timeout = cmp.Or(max(o.Timeout, 0), defaultTimeout)
	h := &Helper{
		options:  o,
		requests: make(chan helperRequest),
		closing:  make(chan struct{}),
		closed:   make(chan struct{}),
	}
	go h.serve()
	return h, nil
}

// Close ends the program and returns once it has ended. Requests under way fail
// with ErrHelperClosed or what the program's end makes of them.
func (h *Helper) Close() error {
	h.once.Do(func() { close(h.closing) })
	<-h.closed
	return nil
}

// UserKey implements Deriver. The errors are ErrHelperTimeout, *Refusal,
// ErrHelperClosed, others that wrap ErrHelper, and the cause of ctx being done.
func (h *Helper) UserKey(ctx context.Context, uri string, hash Hash) (lcpcrypto.UserKey, error) {
	if !concrete(uri) {
		return lcpcrypto.UserKey{}, fmt.Errorf("%w: %q is not that of a license", ErrUnknown, uri)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.options.Timeout, ErrHelperTimeout)
	defer cancel()
	// The answer comes even when nobody waits any more: a request that was sent
	// is finished, or its answer would be taken for that of the next.
	answer := make(chan helperAnswer, 1)
	select {
	case h.requests <- helperRequest{line: uri + " " + hash.Hex() + "\n", answer: answer}:
	case <-ctx.Done():
		return lcpcrypto.UserKey{}, context.Cause(ctx)
	case <-h.closing:
		return lcpcrypto.UserKey{}, ErrHelperClosed
	}
	select {
	case a := <-answer:
		return a.key, a.err
	case <-ctx.Done():
		return lcpcrypto.UserKey{}, context.Cause(ctx)
	}
}

// serve owns the program: it alone starts it, talks to it and ends it.
func (h *Helper) serve() {
	defer close(h.closed)
	s := session{options: h.options, closing: h.closing}
	for {
		select {
		case r := <-h.requests:
			key, err := s.ask(r.line)
			r.answer <- helperAnswer{key, err}
		case <-h.closing:
			s.end()
			return
		}
	}
}

// A session is one program after another, as they die. It is used by one
// goroutine.
type session struct {
	options HelperOptions
	closing <-chan struct{}
	program *program         // nil while none runs
	pause   <-chan time.Time // set while nothing may be started, until it fires
}

// ask sends a line and returns the answer. A program that turns out to have died
// since the last answer is replaced and the new one asked.
func (s *session) ask(line string) (lcpcrypto.UserKey, error) {
	if s.program != nil && !s.program.idle() {
		s.kill()
	}
	answered := s.program != nil
	key, err := s.askOnce(line)
	if answered && errors.Is(err, errDied) {
		key, err = s.askOnce(line)
	}
	return key, err
}

func (s *session) askOnce(line string) (lcpcrypto.UserKey, error) {
	if err := s.start(); err != nil {
		return lcpcrypto.UserKey{}, err
	}
	key, err := s.program.exchange(line, s.options.Timeout, s.closing)
	if _, refused := errors.AsType[*Refusal](err); err != nil && !refused {
		s.kill()
		return lcpcrypto.UserKey{}, err
	}
	s.program.answered = true
	return key, err
}

// start makes sure that a program runs.
func (s *session) start() error {
	if s.program != nil {
		return nil
	}
	if s.pause != nil {
		select {
		case <-s.pause:
			s.pause = nil
		default:
			return fmt.Errorf("%w %s failed, it is started again in a moment", ErrHelper, s.options.Argv[0])
		}
	}
	program, err := startProgram(s.options)
	if err != nil {
		s.pause = time.After(restartPause)
		return fmt.Errorf("%w: %w", ErrHelper, err)
	}
	s.program = program
	return nil
}

// kill ends the program now, for it does not keep to the protocol.
func (s *session) kill() {
	if !s.program.answered {
		s.pause = time.After(restartPause)
	}
	s.program.stop(0)
	s.program = nil
}

// end ends the program in good order.
func (s *session) end() {
	if s.program != nil {
		s.program.stop(exitGrace)
		s.program = nil
	}
}

var errDied = fmt.Errorf("%w died", ErrHelper)

// A program is one run of the helper program.
type program struct {
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      io.Closer
	lines    chan line     // what it writes, closed at its end
	quit     chan struct{} // closed when nobody reads lines any more
	ended    chan struct{} // closed when the process is gone
	answered bool          // at least once
}

// A line is one that the program wrote, its end included.
type line struct {
	text     string
	followed bool // by more that came with it
}

func startProgram(o HelperOptions) (*program, error) {
	cmd := exec.Command(o.Argv[0], o.Argv[1:]...) //nolint:gosec,noctx // the operator's program, which outlives requests
	cmd.Dir, cmd.Env, cmd.Stderr = o.Dir, o.Env, o.Stderr
	cmd.WaitDelay = exitGrace // children that keep its standard error open do not keep us waiting
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &program{
		cmd: cmd, in: in, out: out,
		lines: make(chan line), quit: make(chan struct{}), ended: make(chan struct{}),
	}
	go p.read(out)
	return p, nil
}

// read passes on what the program writes, line by line, and then waits for it. A
// line that is too long comes in part, which is no answer.
func (p *program) read(out io.Reader) {
	defer close(p.ended)
	defer func() { _ = p.cmd.Wait() }() // how it ended does not matter: it did
	defer close(p.lines)
	r := bufio.NewReaderSize(out, maxAnswer)
	for {
		text, err := r.ReadSlice('\n')
		if len(text) > 0 {
			select {
			case p.lines <- line{string(text), r.Buffered() > 0}:
			case <-p.quit:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// idle reports whether the program has written nothing since its last answer, as
// far as can be told, nor ended.
func (p *program) idle() bool {
	select {
	case <-p.lines:
		return false
	default:
		return true
	}
}

// exchange writes a request and reads its answer. A request is shorter than any
// pipe, and only one is ever under way, so that writing does not block.
func (p *program) exchange(request string, timeout time.Duration, closing <-chan struct{}) (lcpcrypto.UserKey, error) {
	if _, err := io.WriteString(p.in, request); err != nil {
		return lcpcrypto.UserKey{}, errDied // the error would be "broken pipe"
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case answer, ok := <-p.lines:
		if !ok {
			return lcpcrypto.UserKey{}, errDied
		}
		return parseAnswer(answer)
	case <-timer.C:
		return lcpcrypto.UserKey{}, ErrHelperTimeout
	case <-closing:
		return lcpcrypto.UserKey{}, ErrHelperClosed
	}
}

// parseAnswer reads a line of a helper. It repeats nothing of a line that is not
// a refusal, since that may be most of a key.
func parseAnswer(answer line) (lcpcrypto.UserKey, error) {
	text, whole := strings.CutSuffix(answer.text, "\n")
	text = strings.TrimSuffix(text, "\r")
	switch {
	case !whole:
		return lcpcrypto.UserKey{}, fmt.Errorf("%w: its answer is cut short, or over %d bytes long", ErrHelper, maxAnswer)
	case answer.followed:
		return lcpcrypto.UserKey{}, fmt.Errorf("%w: it answered with more than one line", ErrHelper)
	}
	if reason, refused := strings.CutPrefix(text, "error "); refused || text == "error" {
		return lcpcrypto.UserKey{}, &Refusal{Reason: reason}
	}
	key, err := lcpcrypto.ParseUserKey(text)
	if err != nil {
		return lcpcrypto.UserKey{}, fmt.Errorf("%w: its answer of %d bytes is neither a key nor an error: %w",
			ErrHelper, len(text), err)
	}
	return key, nil
}

// stop ends the program: its input ends, and after grace it is killed. It returns
// once the process is gone.
func (p *program) stop(grace time.Duration) {
	close(p.quit)
	_ = p.in.Close()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.ended:
		return
	case <-timer.C:
	}
	_ = p.cmd.Process.Kill()
	_ = p.out.Close() // a child of the program may hold the other end
	<-p.ended
}
