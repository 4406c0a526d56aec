package roles_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"
)

// keys logs in with an nkey: the server knows the public half.
type keys struct {
	t     *testing.T
	dir   string
	pairs map[party]nkeys.KeyPair
}

func byKey(t *testing.T) *keys {
	t.Helper()
	k := &keys{t: t, dir: t.TempDir(), pairs: map[party]nkeys.KeyPair{}}
	for _, p := range logged() {
		k.pairs[p] = k.newPair()
		k.writeSeed(p, k.pairs[p])
	}
	return k
}

func (k *keys) newPair() nkeys.KeyPair {
	k.t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		k.t.Fatal(err)
	}
	return pair
}

// writeSeed puts a party's seed into its file.
func (k *keys) writeSeed(p party, pair nkeys.KeyPair) {
	k.t.Helper()
	seed, err := pair.Seed()
	if err != nil {
		k.t.Fatal(err)
	}
	write(k.t, filepath.Join(k.dir, p.name), string(seed)+"\n")
}

func (k *keys) public(pair nkeys.KeyPair) string {
	k.t.Helper()
	public, err := pair.PublicKey()
	if err != nil {
		k.t.Fatal(err)
	}
	return public
}

func (k *keys) configuration() string {
	return including(func(p party) string { return "nkey: " + k.public(k.pairs[p]) })
}

func (k *keys) client(p party, url string) string {
	return fmt.Sprintf("{url: %q, replicas: 1, nkey: {file: %q}}", url, filepath.Join(k.dir, p.name))
}

// certificates logs in with a client certificate, whose subject is the user.
type certificates struct {
	t   *testing.T
	dir string
	ca  *x509.Certificate
	key *ecdsa.PrivateKey
}

func byCertificate(t *testing.T) *certificates {
	t.Helper()
	c := &certificates{t: t, dir: t.TempDir()}
	c.newAuthority()
	c.issue("server", "localhost")
	for _, p := range logged() {
		c.issue(p.name, p.name)
	}
	return c
}

// newAuthority makes the authority that signs everybody's certificate.
func (c *certificates) newAuthority() {
	c.t.Helper()
	c.key = c.newKey()
	c.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	c.sign("ca", c.ca, c.key)
}

func (c *certificates) newKey() *ecdsa.PrivateKey {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	return key
}

// issue writes a certificate and its key to NAME.pem and NAME.key.
func (c *certificates) issue(name, common string) {
	c.t.Helper()
	key := c.newKey()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		c.t.Fatal(err)
	}
	c.sign(name, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: common, Organization: []string{"countermand"}},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	write(c.t, c.file(name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func (c *certificates) sign(name string, wanted *x509.Certificate, key *ecdsa.PrivateKey) {
	c.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, wanted, c.ca, &key.PublicKey, c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	write(c.t, c.file(name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

func (c *certificates) file(name string) string { return filepath.Join(c.dir, name) }

func (c *certificates) configuration() string {
	return fmt.Sprintf("tls {cert_file: %q, key_file: %q, ca_file: %q, verify_and_map: true}\n", c.file("server.pem"), c.file("server.key"), c.file("ca.pem")) +
		including(func(p party) string { return fmt.Sprintf("user: \"CN=%s,O=countermand\"", p.name) })
}

func (c *certificates) client(p party, url string) string {
	return fmt.Sprintf("{url: %q, replicas: 1, tls: {ca: %q, cert: %q, key: %q}}",
		strings.Replace(url, "nats://", "tls://", 1), c.file("ca.pem"), c.file(p.name+".pem"), c.file(p.name+".key"))
}
