package agent

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/ssh"
)

// Sizes of RSA keys: OpenSSH's SSH_RSA_MINIMUM_MODULUS_SIZE and
// SSHBUF_MAX_BIGNUM.
const (
	minRSABits = 1024
	maxRSABits = 16384
)

// A privateKey is a key that can be wiped.
type privateKey struct {
	signer ssh.AlgorithmSigner
	wipe   func()
}

// newPrivateKey takes a key over; wipe must clear what holds it.
func newPrivateKey(key crypto.Signer, wipe func()) (*privateKey, error) {
	signer, err := ssh.NewSignerFromSigner(key)
	if err != nil {
		return nil, err
	}
	chooses, ok := signer.(ssh.AlgorithmSigner)
	if !ok {
		return nil, fmt.Errorf("a key of type %s cannot choose its signature", signer.PublicKey().Type())
	}
	return &privateKey{signer: chooses, wipe: wipe}, nil
}

var errMismatch = errors.New("its private and public halves do not belong together")

// readPrivateKey reads a private key as ADD_IDENTITY has it (RFC 9987 section 4.2, and for certificates
// draft-ietf-sshm-cert). The blob is the certificate, or the plain key. What
// the message says twice must agree.
func readPrivateKey(r *reader) (key *privateKey, keyType string, blob []byte, err error) {
	keyType = string(r.string())
	var cert *ssh.Certificate
	plainType := keyType
	if plain, ok := certifiedTypes[keyType]; ok {
		plainType = plain
		blob = r.string()
		if cert, err = readCertificate(blob, keyType); err != nil {
			return nil, keyType, nil, err
		}
	}
	switch plainType {
	case ssh.KeyAlgoRSA:
		key, err = readRSA(r, cert)
	case ssh.KeyAlgoECDSA256:
		key, err = readECDSA(r, elliptic.P256(), "nistp256", cert)
	case ssh.KeyAlgoECDSA384:
		key, err = readECDSA(r, elliptic.P384(), "nistp384", cert)
	case ssh.KeyAlgoECDSA521:
		key, err = readECDSA(r, elliptic.P521(), "nistp521", cert)
	case ssh.KeyAlgoED25519:
		key, err = readEd25519(r)
	case ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256, ssh.CertAlgoSKED25519v01, ssh.CertAlgoSKECDSA256v01:
		err = errSecurityKey
	default:
		err = fmt.Errorf("keys of type %q are not known", printable(keyType, 64))
	}
	if err != nil {
		return nil, keyType, nil, err
	}
	public := key.signer.PublicKey().Marshal()
	switch {
	case cert == nil:
		return key, keyType, public, nil
	case !bytes.Equal(public, cert.Key.Marshal()):
		key.wipe()
		return nil, keyType, nil, errors.New("the certificate is for another key")
	}
	return key, keyType, blob, nil
}

// errSecurityKey is about keys that need a device and a provider for it.
var errSecurityKey = errors.New("security keys (sk-...) are not kept here; name an agent that keeps them in agent.upstream")

// certifiedTypes are the types of certificates that can be added, with the types
// of their keys.
var certifiedTypes = map[string]string{
	ssh.CertAlgoRSAv01:      ssh.KeyAlgoRSA,
	ssh.CertAlgoECDSA256v01: ssh.KeyAlgoECDSA256,
	ssh.CertAlgoECDSA384v01: ssh.KeyAlgoECDSA384,
	ssh.CertAlgoECDSA521v01: ssh.KeyAlgoECDSA521,
	ssh.CertAlgoED25519v01:  ssh.KeyAlgoED25519,
}

// readCertificate accepts what OpenSSH does: certificates for users and for
// hosts, whatever their dates, that the authority named in them signed.
func readCertificate(blob []byte, keyType string) (*ssh.Certificate, error) {
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	cert, ok := key.(*ssh.Certificate)
	if !ok || cert.Type() != keyType {
		return nil, fmt.Errorf("a key of type %s where a certificate of type %s is announced", key.Type(), keyType)
	}
	if err := verifyCertificate(cert, blob); err != nil {
		return nil, fmt.Errorf("verifying the certificate: %w", err)
	}
	return cert, nil
}

// readRSA reads n, e (unless in the certificate), d, iqmp, p, q.
func readRSA(r *reader, cert *ssh.Certificate) (*privateKey, error) {
	var public []*big.Int
	if cert == nil {
		var err error
		if public, err = readInts(r, 2); err != nil {
			return nil, err
		}
	} else if key, ok := cryptoKey(cert.Key).(*rsa.PublicKey); ok {
		public = []*big.Int{key.N, big.NewInt(int64(key.E))}
	} else {
		return nil, errMismatch
	}
	n, e := public[0], public[1]
	private, err := readInts(r, 4)
	if err != nil {
		return nil, err
	}
	d, iqmp, p, q := private[0], private[1], private[2], private[3]
	wipe := func() { wipeInts(private) }
	if bits := n.BitLen(); bits < minRSABits || bits > maxRSABits {
		wipe()
		return nil, fmt.Errorf("RSA key of %d bits; %d to %d are allowed", bits, minRSABits, maxRSABits)
	}
	if e.BitLen() > 31 {
		wipe()
		return nil, errors.New("RSA key with an exponent of more than 31 bits")
	}
	one := big.NewInt(1)
	if p.Cmp(one) <= 0 || q.Cmp(one) <= 0 {
		wipe()
		return nil, errMismatch
	}
	pLess, qLess := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	dp, dq := new(big.Int).Mod(d, pLess), new(big.Int).Mod(d, qLess)
	wipeInts([]*big.Int{pLess, qLess})
	private = append(private, dp, dq)
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: int(e.Int64())}, D: d, Primes: []*big.Int{p, q}}
	// Without these, which are checked, a key of 16384 bits would take 10 s.
	key.Precomputed.Dp, key.Precomputed.Dq, key.Precomputed.Qinv = dp, dq, iqmp
	key.Precompute()
	if err := key.Validate(); err != nil {
		wipe()
		return nil, fmt.Errorf("%w: %w", errMismatch, err)
	}
	return newPrivateKey(key, wipe)
}

// readECDSA reads the name of the curve and the point (unless in the
// certificate), and the private scalar.
func readECDSA(r *reader, curve elliptic.Curve, name string, cert *ssh.Certificate) (*privateKey, error) {
	var point []byte
	if cert == nil {
		named := r.string()
		point = r.string()
		if !r.short && string(named) != name {
			return nil, fmt.Errorf("curve %q in a key for %s", printable(string(named), 64), name)
		}
	}
	private, err := readInts(r, 1)
	if err != nil {
		return nil, err
	}
	defer wipeInts(private)
	size := (curve.Params().BitSize + 7) / 8
	if private[0].BitLen() > 8*size {
		return nil, errMismatch
	}
	scalar := private[0].FillBytes(make([]byte, size))
	defer clear(scalar)
	key, err := ecdsa.ParseRawPrivateKey(curve, scalar)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMismatch, err)
	}
	wipe := func() { clear(key.D.Bits()) } //nolint:staticcheck // SA1019: wiped, not used
	if cert == nil {
		if public, err := key.PublicKey.Bytes(); err != nil || !bytes.Equal(public, point) {
			wipe()
			return nil, errMismatch
		}
	}
	return newPrivateKey(key, wipe)
}

// readEd25519 reads the public key, and seed and public key once more.
func readEd25519(r *reader) (*privateKey, error) {
	public, private := r.string(), r.string()
	switch {
	case r.short:
		return nil, errShort
	case len(private) != ed25519.PrivateKeySize:
		return nil, fmt.Errorf("Ed25519 key of %d bytes; it has %d", len(private), ed25519.PrivateKeySize)
	}
	key := ed25519.NewKeyFromSeed(private[:ed25519.SeedSize])
	if !bytes.Equal(key, private) || !bytes.Equal(key[ed25519.SeedSize:], public) {
		clear(key)
		return nil, errMismatch
	}
	return newPrivateKey(key, func() { clear(key) })
}

// readInts reads numbers that are not negative (RFC 4251 section 5, mpint) and
// of a size that those of a key may have.
func readInts(r *reader, count int) ([]*big.Int, error) {
	numbers := make([]*big.Int, 0, count)
	for range count {
		b := r.string()
		if len(b) > 0 && b[0] >= 0x80 || len(b) > maxRSABits/8+1 {
			wipeInts(numbers)
			return nil, errors.New("it has a number that is negative, or too large")
		}
		numbers = append(numbers, new(big.Int).SetBytes(b))
	}
	if r.short {
		wipeInts(numbers)
		return nil, errShort
	}
	return numbers, nil
}

func wipeInts(numbers []*big.Int) {
	for _, x := range numbers {
		clear(x.Bits())
	}
}

func cryptoKey(key ssh.PublicKey) crypto.PublicKey {
	if k, ok := key.(ssh.CryptoPublicKey); ok {
		return k.CryptoPublicKey()
	}
	return nil
}
