package witness

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/countermand/countermand/integrity"
	"github.com/countermand/countermand/integrity/keeper"
)

// Annotation is the Lease's annotation that holds the record. It is not the
// Lease's own count of transitions, which tools for leader election write.
const Annotation = "countermand.dev/mark"

// The annotations that repeat two of the record's numbers for an admission policy,
// which cannot read JSON: they never fall, see deploy/k8s/components/witness.
const (
	AnnotationEpoch    = "countermand.dev/epoch"
	AnnotationSequence = "countermand.dev/sequence"
)

// Lease keeps the record in an annotation of a Kubernetes Lease that exists
// already: the account of the service may get and update it, not create it. It
// is safe for concurrent use by many processes.
type Lease struct {
	client *http.Client
	url    string
	token  func() (string, error)
}

var _ keeper.Store = (*Lease)(nil)

// Cluster says how to reach the API server.
type Cluster struct {
	// Server is the API server's address, such as https://10.0.0.1:443.
	Server string
	// Client speaks TLS with the cluster's authority.
	Client *http.Client
	// TokenFile holds the account's token. It is read for each request, since it
	// is rotated.
	TokenFile string
}

// account is where Kubernetes puts a pod's own account.
const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

// InCluster is the cluster that the process runs in, as its pod knows it: by the
// environment and the files of its account.
func InCluster() (Cluster, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return Cluster{}, errors.New("find cluster: not inside of one (KUBERNETES_SERVICE_HOST is not set)")
	}
	pem, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return Cluster{}, fmt.Errorf("find cluster: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return Cluster{}, errors.New("find cluster: its ca.crt holds no certificate")
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
	}
	return Cluster{
		Server: "https://" + net.JoinHostPort(host, port), TokenFile: account + "token",
		Client: &http.Client{Transport: transport, Timeout: 5 * time.Second},
	}, nil
}

// NewLease returns the witness in a Lease. It does no I/O.
func NewLease(c Cluster, namespace, name string) *Lease {
	return &Lease{
		client: c.Client,
		url: c.Server + "/apis/coordination.k8s.io/v1/namespaces/" + url.PathEscape(namespace) +
			"/leases/" + url.PathEscape(name),
		token: func() (string, error) {
			raw, err := os.ReadFile(c.TokenFile)
			return string(bytes.TrimSpace(raw)), err
		},
	}
}

// Load implements keeper.Store. A Lease that does not exist is an error: it is
// created with the service, and deleting it is a loss.
func (l *Lease) Load(ctx context.Context) (integrity.Record, error) {
	_, r, err := l.load(ctx)
	return r, err
}

// maxTries bounds how often a rival may be first.
const maxTries = 10

// Raise implements keeper.Store: the update names the version that was read.
func (l *Lease) Raise(ctx context.Context, want integrity.Record) (integrity.Record, error) {
	for range maxTries {
		object, stored, err := l.load(ctx)
		if err != nil {
			return integrity.Record{}, err
		}
		if stored.Covers(want) {
			return stored, nil
		}
		merged := stored.Merge(want)
		if err := annotate(object, merged); err != nil {
			return integrity.Record{}, err
		}
		_, err = l.do(ctx, http.MethodPut, object)
		switch {
		case err == nil:
			return merged, nil
		case !errors.Is(err, errConflict):
			return integrity.Record{}, err
		}
	}
	return integrity.Record{}, fmt.Errorf("update witness: others were first %d times", maxTries)
}

// Probe asks the API server for an update that it judges and does not carry out.
func (l *Lease) Probe(ctx context.Context) error {
	object, stored, err := l.load(ctx)
	if err != nil {
		return err
	}
	if err := annotate(object, stored); err != nil {
		return err
	}
	_, err = l.ask(ctx, http.MethodPut, l.url+"?dryRun=All", object)
	if errors.Is(err, errConflict) {
		return nil // another process can update it
	}
	return err
}

// load reads the Lease whole, so that an update changes nothing else in it.
func (l *Lease) load(ctx context.Context) (map[string]any, integrity.Record, error) {
	object, err := l.do(ctx, http.MethodGet, nil)
	if err != nil {
		return nil, integrity.Record{}, err
	}
	metadata, _ := object["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	text, _ := annotations[Annotation].(string)
	var r integrity.Record
	if text != "" {
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, integrity.Record{}, fmt.Errorf("read witness: annotation %s: %w", Annotation, err)
		}
	}
	if err := agrees(annotations, r); err != nil {
		return nil, integrity.Record{}, err
	}
	return object, r, nil
}

// agrees returns an error if the numbers that an admission policy keeps from falling
// are not the record's: somebody has changed the record alone, which the policy cannot
// read. A Lease of an older version has no such numbers.
func agrees(annotations map[string]any, r integrity.Record) error {
	epoch, hasEpoch := annotations[AnnotationEpoch]
	sequence, hasSequence := annotations[AnnotationSequence]
	if !hasEpoch && !hasSequence || epoch == numbers(r)[AnnotationEpoch] && sequence == numbers(r)[AnnotationSequence] {
		return nil
	}
	return fmt.Errorf("read witness: annotation %s has sequence %d of epoch %d, but %s and %s say %v of %v: somebody has changed the Lease; put back what it said",
		Annotation, r.Mark.Journal.Sequence, r.Epoch.Number, AnnotationSequence, AnnotationEpoch, sequence, epoch)
}

// numbers are the annotations that repeat numbers of the record.
func numbers(r integrity.Record) map[string]any {
	return map[string]any{
		AnnotationEpoch:    strconv.FormatUint(r.Epoch.Number, 10),
		AnnotationSequence: strconv.FormatUint(r.Mark.Journal.Sequence, 10),
	}
}

// annotate puts the record into the object.
func annotate(object map[string]any, r integrity.Record) error {
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		return errors.New("update witness: the Lease has no metadata")
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode witness: %w", err)
	}
	annotations, ok := metadata["annotations"].(map[string]any)
	if !ok {
		annotations = map[string]any{}
	}
	annotations[Annotation] = string(text)
	maps.Copy(annotations, numbers(r))
	metadata["annotations"] = annotations
	return nil
}

// errConflict: somebody has changed the Lease since it was read.
var errConflict = errors.New("the Lease has been changed meanwhile")

// maxAnswer bounds what is read of the API server's answer.
const maxAnswer = 1 << 20

// do makes one request.
func (l *Lease) do(ctx context.Context, method string, body map[string]any) (map[string]any, error) {
	return l.ask(ctx, method, l.url, body)
}

// ask makes one request. Its errors name the status and the Lease, never the token.
func (l *Lease) ask(ctx context.Context, method, address string, body map[string]any) (map[string]any, error) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode Lease: %w", err)
		}
		payload = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, method, address, payload)
	if err != nil {
		return nil, fmt.Errorf("ask for witness: %w", err)
	}
	token, err := l.token()
	if err != nil {
		return nil, fmt.Errorf("ask for witness: read token: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := l.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask for witness: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case response.StatusCode == http.StatusConflict:
		return nil, errConflict
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("ask for witness: %s %s: %s", method, l.url, response.Status)
	case err != nil:
		return nil, fmt.Errorf("ask for witness: %w", err)
	}
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // an update must write every number back as it was
	if err := decoder.Decode(&object); err != nil {
		return nil, fmt.Errorf("ask for witness: decode answer: %w", err)
	}
	return object, nil
}
