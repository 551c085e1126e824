package ca

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sshmint/sshmint/internal/testpki"
)

// BenchmarkMint is certificates over fresh TLS connections, each with its
// audit line flushed; clients run on the same cores. The parallel case shows
// what entries that share a flush are worth.
func BenchmarkMint(b *testing.B) {
	for _, clients := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			c := newTestCA(b, staffRules)
			c.configure(b, strings.NewReplacer("1000\n", "100000000\n", "100000\n", "100000000\n").Replace(staffRules))
			_, address := c.serve(b)
			people := make([]*testpki.Identity, clients)
			bodies := make([][]byte, clients)
			for i := range people {
				people[i] = c.alice(b)
				bodies[i] = marshal(b, goodRequest(b, people[i], newSSHKey(b)))
			}
			var next atomic.Int64
			b.SetParallelism(clients)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				i := int(next.Add(1)) % clients
				client := c.client(b, people[i])
				for pb.Next() {
					if httpStatus, _, p := post(b, client, address, bodies[i]); httpStatus != http.StatusCreated {
						b.Errorf("%d %+v", httpStatus, p)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "certs/s")
		})
	}
}

// BenchmarkSign is the CA's own part: possession, template, signature and
// audit line, without TLS and HTTP.
func BenchmarkSign(b *testing.B) {
	c := newTestCA(b, staffRules)
	s, _ := c.serve(b)
	a := s.current.Load().authority
	alice, key := c.alice(b), newSSHKey(b)
	req, err := parseRequest(marshal(b, goodRequest(b, alice, key)))
	if err != nil {
		b.Fatal(err)
	}
	req.Chain = alice.Chain
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Mint(b.Context(), req); err != nil {
			b.Fatal(err)
		}
	}
}
