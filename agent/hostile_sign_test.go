package agent

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// An agentKey is the key of a certificate in the agent, as a program would use
// it that has no more than the socket: it asks the agent for each signature.
type agentKey struct {
	s     *session
	plain ed25519.PublicKey
	blob  []byte // certificate or plain key, which to ask for
}

var errRefused = errors.New("the agent refused")

func (k *agentKey) Public() crypto.PublicKey { return k.plain }

// Sign implements crypto.Signer. Ed25519 signs messages, never digests.
func (k *agentKey) Sign(_ io.Reader, message []byte, _ crypto.SignerOpts) ([]byte, error) {
	request := appendString([]byte{msgSignRequest}, k.blob)
	request = appendString(request, message)
	request = binary.BigEndian.AppendUint32(request, 0)
	answer := ask(k.s, request...)
	if answer[0] != msgSignResponse {
		return nil, errRefused
	}
	var response struct {
		Signature []byte `sshtype:"14"`
	}
	var signature ssh.Signature
	if err := errors.Join(ssh.Unmarshal(answer, &response), ssh.Unmarshal(response.Signature, &signature)); err != nil {
		return nil, err
	}
	return signature.Blob, nil
}

// TestOtherProtocols uses the minted key for whatever else an Ed25519 key can
// do, by the real implementation of each protocol. With a key of our own each
// attack succeeds; with the agent's it is refused.
func TestOtherProtocols(t *testing.T) {
	user := newKey(t, "ed25519")
	minted := newAuthority(t).certify(t, user, time.Hour, "alice")
	a := new(Agent)
	a.Set(Settings{Profiles: []Profile{{Name: "corp", Source: &source{current: minted}}}})
	if len(a.Keys(context.Background())) != 1 {
		t.Fatal("not listed")
	}
	crypt, ok := user.PublicKey().(ssh.CryptoPublicKey)
	if !ok {
		t.Fatalf("a key of type %T", user.PublicKey())
	}
	plain, ok := crypt.CryptoPublicKey().(ed25519.PublicKey)
	if !ok {
		t.Fatalf("a key of type %T", crypt.CryptoPublicKey())
	}
	_, own, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			if err := attack(own); err != nil {
				t.Fatalf("with a key of our own: %v", err)
			}
			for asked, blob := range map[string][]byte{"certificate": minted.PublicKey().Marshal(), "plain key": user.PublicKey().Marshal()} {
				before := len(a.Refusals())
				key := &agentKey{&session{agent: a, peer: peer{pid: 4711}}, plain, blob}
				if err := attack(key); err == nil {
					t.Errorf("by the %s: it succeeded", asked)
				}
				// It must have come to asking, or the test shows nothing.
				if r := a.Refusals(); len(r) == before && before < 32 || r[len(r)-1].Asked != "sign" {
					t.Errorf("by the %s: the agent was not asked", asked)
				} else if !strings.Contains(r[len(r)-1].Reason, "not an SSH authentication request") && !strings.Contains(r[len(r)-1].Reason, "SSHSIG") {
					t.Errorf("by the %s: refused because %q", asked, r[len(r)-1].Reason)
				}
			}
		})
	}
	if !newAttempt(a, minted).granted(t) {
		t.Errorf("a login is refused: %s", lastReason(a))
	}
}

// An attack has a key sign what is not SSH user authentication.
var attacks = map[string]func(key crypto.Signer) error{
	"TLS 1.3 client": func(key crypto.Signer) error { return handshake(key, tls.VersionTLS13, true) },
	"TLS 1.2 client": func(key crypto.Signer) error { return handshake(key, tls.VersionTLS12, true) },
	"TLS 1.3 server": func(key crypto.Signer) error { return handshake(key, tls.VersionTLS13, false) },
	"TLS 1.2 server": func(key crypto.Signer) error { return handshake(key, tls.VersionTLS12, false) },

	"certificate request": func(key crypto.Signer) error {
		_, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "alice"}}, key)
		return err
	},
	"X.509 certificate": func(key crypto.Signer) error { _, err := selfSigned(key); return err },
	"X.509 CRL": func(key crypto.Signer) error {
		issuer := &x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
		list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
		_, err := x509.CreateRevocationList(rand.Reader, list, issuer, key)
		return err
	},
	"JWS": func(key crypto.Signer) error {
		part := base64.RawURLEncoding.EncodeToString
		return sign(key, []byte(part([]byte(`{"alg":"EdDSA","typ":"JWT"}`))+"."+part([]byte(`{"sub":"alice","aud":"https://ca"}`))))
	},
	"CMS signed attributes": func(key crypto.Signer) error {
		type attribute struct {
			Type   asn1.ObjectIdentifier
			Values []any `asn1:"set"`
		}
		digest := sha256.Sum256([]byte("content"))
		der, err := asn1.MarshalWithParams([]attribute{
			{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}, []any{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}}},
			{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}, []any{digest[:]}},
		}, "set") // signed as SET OF (RFC 5652 section 5.4)
		return errors.Join(err, sign(key, der))
	},

	"SSH host key":              sshServe,
	"SSH certificate":           sshCertify,
	"SSH session-bind":          func(key crypto.Signer) error { return sign(key, bytes.Repeat([]byte{7}, 32)) },
	"SSHSIG for git":            func(key crypto.Signer) error { return sign(key, sshsig("git")) },
	"SSHSIG for a proof":        func(key crypto.Signer) error { return sign(key, sshsig("proof@sshmint")) },
	"bytes":                     func(key crypto.Signer) error { return sign(key, []byte("any bytes")) },
	"nothing":                   func(key crypto.Signer) error { return sign(key, nil) },
	"a login that is not whole": func(key crypto.Signer) error { return sign(key, []byte{0, 0, 0, 4, 1, 2, 3, 4, 50}) },
}

func sign(key crypto.Signer, message []byte) error {
	signature, err := key.Sign(rand.Reader, message, crypto.Hash(0))
	if err != nil {
		return err
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok || !ed25519.Verify(public, message, signature) {
		return errors.New("a wrong signature")
	}
	return nil
}

// selfSigned has the key sign a certificate, as a CA's would.
func selfSigned(key crypto.Signer) ([]byte, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "alice"}, DNSNames: []string{"alice"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// connected gives the two ends of a connection on loopback, for 20 s.
func connected() (near, far net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	if near, err = net.Dial("tcp", l.Addr().String()); err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	if far, err = l.Accept(); err != nil {
		return nil, nil, errors.Join(err, near.Close(), l.Close())
	}
	end := time.Now().Add(20 * time.Second)
	return near, far, errors.Join(l.Close(), near.SetDeadline(end), far.SetDeadline(end))
}

// handshake has the key authenticate one side of TLS, with a certificate that
// somebody else made for it. The key signs the transcript.
func handshake(key crypto.Signer, version uint16, asClient bool) error {
	_, ca, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	certificate := func(key crypto.Signer) (tls.Certificate, error) {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), ca)
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
	}
	subject, err := certificate(key)
	if err != nil {
		return err
	}
	other, err := certificate(ca)
	if err != nil {
		return err
	}
	if asClient {
		subject, other = other, subject
	}
	near, far, err := connected()
	if err != nil {
		return err
	}
	client := tls.Client(near, &tls.Config{Certificates: []tls.Certificate{other}, InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
	server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{subject}, ClientAuth: tls.RequireAnyClientCert, MinVersion: version, MaxVersion: version})
	done := make(chan error, 1)
	go func() {
		err := server.Handshake()
		_ = far.Close()
		done <- err
	}()
	err = client.Handshake()
	if err == nil {
		_, err = client.Read(make([]byte, 1)) // in TLS 1.3 the server's verdict comes after
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = nil
		}
	}
	_ = near.Close()
	return errors.Join(err, <-done)
}

// sshServe poses as an SSH server whose host key the key is: it signs the hash of
// the key exchange.
func sshServe(key crypto.Signer) error {
	host, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return err
	}
	near, far, err := connected()
	if err != nil {
		return err
	}
	config := &ssh.ServerConfig{NoClientAuth: true}
	config.AddHostKey(host)
	done := make(chan error, 1)
	go func() {
		_, _, _, err := ssh.NewServerConn(far, config)
		_ = far.Close()
		done <- err
	}()
	_, _, _, err = ssh.NewClientConn(near, "host", &ssh.ClientConfig{User: "alice", HostKeyCallback: ssh.FixedHostKey(host.PublicKey())})
	_ = near.Close()
	return errors.Join(err, <-done)
}

// sshCertify makes the key an SSH user CA.
func sshCertify(key crypto.Signer) error {
	ca, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return err
	}
	cert := &ssh.Certificate{Key: ca.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"root"}, ValidBefore: ssh.CertTimeInfinity}
	return cert.SignCert(rand.Reader, ca)
}

// sshsig is what ssh-keygen -Y sign has an agent sign (PROTOCOL.sshsig).
func sshsig(namespace string) []byte {
	digest := sha256.Sum256([]byte("a commit"))
	b := appendString([]byte("SSHSIG"), namespace)
	b = appendString(b, "")
	b = appendString(b, "sha256")
	return appendString(b, digest[:])
}
