package ca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sshmint/sshmint/internal/testpki"
	"github.com/sshmint/sshmint/internal/wire"
)

// refused is one row of the table of certificates that must not be issued: a
// chain with a flaw, and its twin that differs in the flaw alone and is granted,
// so that no row can pass for another reason than its own.
type refused struct {
	flaw      string
	code      wire.Code
	says      string // part of the sentence that the person gets
	policy    string // ca.toml
	bad, good presents
}

// presents makes what a client presents.
type presents func(w *world) []*x509.Certificate

// world is the PKI of one row.
type world struct {
	testing.TB
	root *testpki.CA // trusted as "corp"
	mid  *testpki.CA // below it

	other  *testpki.CA // trusted as "other", where the policy says so
	old    *testpki.CA // expired
	tight  *testpki.CA // with name constraints
	narrow *testpki.CA // for serverAuth alone
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, root: testpki.NewRoot(t, "Corp Root")}
	w.mid = w.root.Intermediate(t, "Corp Issuing")
	w.other = testpki.NewRoot(t, "Other Root")
	w.old = testpki.NewRoot(t, "Old Root", dates(-48*time.Hour, -time.Hour))
	w.tight = testpki.NewRoot(t, "Tight Root", onlyCorpMail)
	w.narrow = testpki.NewRoot(t, "Narrow Root", testpki.EKU(serverAuth))
	return w
}

// files are what the policies of the rows name.
func (w *world) files() map[string]string {
	return map[string]string{
		"corp.pem":  string(testpki.PEM(w.root.Cert)),
		"other.pem": string(testpki.PEM(w.other.Cert)),
		"all.pem":   string(testpki.PEM(w.root.Cert, w.old.Cert, w.tight.Cert, w.narrow.Cert)),
		"roles.txt": "alice@corp.example.com = admin\nroot@corp.example.com = root\ncarol@corp.example.com = Admin\n",
	}
}

const (
	trustCorp = "[[trust]]\nname = 'corp'\nroots = 'corp.pem'\n"
	// byMail and the like make principals of one kind of name.
	byMail = trustCorp + "[[rule]]\nname = 'r'\ntrust = 'corp'\nprincipals = 'local(cert.emails, \"corp.example.com\")'\n"
	byUPN  = trustCorp + "[[rule]]\nname = 'r'\ntrust = 'corp'\nprincipals = 'local(cert.upns, \"corp.example.com\")'\n"
	byCN   = trustCorp + "[[rule]]\nname = 'r'\ntrust = 'corp'\nprincipals = 'cert.common_names'\n"
	// byCNAny takes the pattern away, so that what is refused is refused whatever the pattern.
	byCNAny = byCN + "pattern = '(?s).*'\n"
	// literal grants to everyone whom the rule matches.
	literal = trustCorp + "[[rule]]\nname = 'r'\ntrust = 'corp'\ngrant = ['user']\n"
)

// leaf is a leaf of the intermediate authority, with a common name.
func leaf(cn string, edits ...testpki.Edit) presents {
	return func(w *world) []*x509.Certificate { return w.mid.Leaf(w, cn, edits...).Chain }
}

// nameless has an e-mail address or other names, and no common name.
func nameless(edits ...testpki.Edit) presents { return leaf("", edits...) }

func mail(addresses ...string) presents { return nameless(testpki.Email(addresses...)) }
func upn(names ...string) presents      { return nameless(testpki.UPN(names...)) }

func san(names ...testpki.Name) presents { return nameless(testpki.SAN(names...)) }

// TestMustNotBeIssued runs both sides of every row.
func TestMustNotBeIssued(t *testing.T) {
	rows := slices.Concat(refusedNames, refusedSAN, refusedUsage, refusedChains, refusedConstraints, refusedSizes)
	if len(rows) < 60 {
		t.Fatalf("%d rows", len(rows))
	}
	seen := make(map[string]bool)
	for _, row := range rows {
		if seen[row.flaw] {
			t.Errorf("two rows are called %q", row.flaw)
		}
		seen[row.flaw] = true
		t.Run(row.flaw, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			bad, good := row.bad(w), row.good(w)
			p := mustLoad(t, row.policy, w.files())
			g, err := p.Decide(t.Context(), bad, time.Now())
			if g != nil {
				t.Errorf("granted %q to %s", g.Principals, g.Person)
			}
			if r := refusal(t, err); r.Code != row.code || !strings.Contains(r.Detail, row.says) {
				t.Errorf("refused with %s: %s\nwant %s: %s", r.Code, r.Detail, row.code, row.says)
			}
			if _, err := p.Decide(t.Context(), good, time.Now()); err != nil {
				t.Errorf("the twin without the flaw: %v", err)
			}
		})
	}
}

// publicKey is a signer whose public key is another's.
type publicKey struct {
	crypto.Signer
	public crypto.PublicKey
}

func (k publicKey) Public() crypto.PublicKey { return k.public }

// tryLeaf is testpki's Leaf for names that no certificate can be made of.
func tryLeaf(ca *testpki.CA, key crypto.Signer, cn string, edit testpki.Edit) ([]*x509.Certificate, bool) {
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{clientAuth},
	}
	edit(tmpl)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.Cert, key.Public(), ca.Key)
	if err != nil {
		return nil, false
	}
	cert, err := x509.ParseCertificate(der)
	return []*x509.Certificate{cert}, err == nil
}
