package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// verdict is what one try of an append ended in. The zero value is the careful one.
type verdict int

const (
	unanswered   verdict = iota // may be accepted, now or later
	accepted                    // stored, at the answer's sequence
	refused                     // not stored by this try: something is in its way
	inFlight                    // not stored by this try, which may be repeated shortly
	storeRefuses                // the store takes nothing more
	impossible                  // this message can never be stored
)

// answer is the judgement of one try.
type answer struct {
	verdict  verdict
	sequence uint64
	// subjectTaken: the subject is written already, whatever its payment's sequence.
	subjectTaken bool
	// certain: a refusing store surely did not store this try.
	certain bool
	// timedOut: the try has waited for its whole timeout.
	timedOut bool
	err      error
}

// The server's error codes for an append that the client library has no constant
// for, and parts of their descriptions. The server's list of JetStream API errors
// has them all.
const (
	codeStoreFailed      jetstream.ErrorCode = 10077
	codeAccountResources jetstream.ErrorCode = 10002
	codeInsufficient     jetstream.ErrorCode = 10023
	codeMemoryResources  jetstream.ErrorCode = 10028
	codeStorageResources jetstream.ErrorCode = 10047
	codeWrongStream      jetstream.ErrorCode = 10060
	codeSealed           jetstream.ErrorCode = 10109
	codeHeaderTooLarge   jetstream.ErrorCode = 10097

	descriptionPerSubject  = "maximum messages per subject"
	descriptionMaxMessages = "maximum messages exceeded"
	descriptionMaxBytes    = "maximum bytes exceeded"
	descriptionTooLarge    = "message too large"
)

// acknowledgement is the answer to a publish.
type acknowledgement struct {
	Stream    string              `json:"stream"`
	Sequence  uint64              `json:"seq"`
	Duplicate bool                `json:"duplicate"`
	Error     *jetstream.APIError `json:"error"`
}

// judge reads the answer to one try.
func judge(data []byte, stream string) answer {
	if sequence, ok := plainlyAccepted(data, stream); ok {
		return answer{verdict: accepted, sequence: sequence}
	}
	var ack acknowledgement
	if err := json.Unmarshal(data, &ack); err != nil {
		return answer{err: fmt.Errorf("decode acknowledgement: %w", err)}
	}
	switch {
	case ack.Error != nil:
		return judgeRefusal(ack.Error)
	case ack.Sequence == 0:
		return answer{err: errors.New("acknowledgement without a sequence")}
	case ack.Stream != stream:
		// Another stream took the subject: it is not in the journal, and never will be.
		return answer{verdict: storeRefuses, certain: true, err: fmt.Errorf("answered by stream %q, not %q", ack.Stream, stream)}
	case ack.Duplicate:
		// Nothing here sets a message id; whatever this is, only the leader knows.
		return answer{verdict: refused, err: errors.New("acknowledged as a duplicate")}
	default:
		return answer{verdict: accepted, sequence: ack.Sequence}
	}
}

// plainlyAccepted reads the one form the server's usual acknowledgement has,
// {"stream":"PAYMENT_EVENTS","seq":12}. Whatever differs by a byte is for judge.
func plainlyAccepted(data []byte, stream string) (sequence uint64, ok bool) {
	rest, ok1 := bytes.CutPrefix(data, []byte(`{"stream":"`))
	name, rest, ok2 := bytes.Cut(rest, []byte(`","seq":`))
	digits, ok3 := bytes.CutSuffix(rest, []byte("}"))
	if !ok1 || !ok2 || !ok3 || string(name) != stream {
		return 0, false
	}
	sequence, err := strconv.ParseUint(string(digits), 10, 64)
	return sequence, err == nil && digits[0] != '0'
}

func judgeRefusal(e *jetstream.APIError) answer {
	switch e.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence:
		return answer{verdict: refused, err: e}
	case jetstream.JSErrCodeStreamWrongLastSequenceConstant: // names no sequence: another append is in flight
		return answer{verdict: inFlight, err: e}
	case codeStoreFailed:
		return judgeStoreFailed(e)
	case codeAccountResources, codeInsufficient, codeMemoryResources, codeStorageResources, codeSealed, codeWrongStream:
		// Checked by the server before it stores or proposes anything.
		return answer{verdict: storeRefuses, certain: true, err: e}
	case jetstream.JSErrCodeStreamMessageExceedsMaximum, codeHeaderTooLarge:
		return answer{verdict: impossible, err: e}
	default:
		return answer{err: e}
	}
}

// judgeStoreFailed tells the meanings of 10077 apart by their description,
// which is all there is. The limits are checked before anything is stored; any
// other failure may have happened on the leader alone, while the other replicas
// stored what was agreed on.
func judgeStoreFailed(e *jetstream.APIError) answer {
	switch {
	case strings.Contains(e.Description, descriptionPerSubject):
		return answer{verdict: refused, subjectTaken: true, err: e}
	case strings.Contains(e.Description, descriptionTooLarge):
		return answer{verdict: impossible, err: e}
	default:
		certain := strings.Contains(e.Description, descriptionMaxMessages) || strings.Contains(e.Description, descriptionMaxBytes)
		return answer{verdict: storeRefuses, certain: certain, err: e}
	}
}

// judgeError judges a try that was not answered.
func judgeError(err error) answer {
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return answer{verdict: impossible, err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return answer{timedOut: true, err: err}
	default:
		return answer{err: err}
	}
}
