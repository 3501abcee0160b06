// SPDX-License-Identifier: EUPL-1.2

// Witness is both sides of tlog-witness with nothing of ours: notes by golang.org/x/mod/sumdb/note, the tree and its
// proofs by golang.org/x/mod/sumdb/tlog, HTTP and Ed25519 by the standard library.
//
//	witness serve <vkey of the log>     cosigns; writes its address and verifier key, one on each line
//	witness ask                         is a log: reads a JSON document from standard input, writes the statuses
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const kind = 4 // a cosignature's

func main() {
	var err error
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		err = serve(os.Args[2])
	case len(os.Args) == 2 && os.Args[1] == "ask":
		err = ask()
	default:
		err = errors.New("usage: witness serve VKEY | witness ask")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// What is cosigned, and the id of a key that does it.
func cosigned(text string, seconds uint64) []byte {
	return []byte(fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, text))
}

func keyID(name string, public ed25519.PublicKey) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), append([]byte{kind}, public...)...))
	return binary.BigEndian.Uint32(sum[:])
}

// A key of a witness: it signs where it has the private half.
type cosigner struct {
	name    string
	public  ed25519.PublicKey
	private ed25519.PrivateKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return keyID(c.name, c.public) }

func (c cosigner) Sign(text []byte) ([]byte, error) {
	seconds := uint64(time.Now().Unix())
	signature := ed25519.Sign(c.private, cosigned(string(text), seconds))
	return append(binary.BigEndian.AppendUint64(nil, seconds), signature...), nil
}

func (c cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(signature)
	return ed25519.Verify(c.public, cosigned(string(text), seconds), signature[8:])
}

// ------------------------------------------------------------------------------------------------ the witness
type witness struct {
	log   note.Verifier
	key   cosigner
	mutex sync.Mutex
	seen  tlog.Tree
}

func serve(vkey string) error {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	w := &witness{log: verifier, key: cosigner{"go.example/w", public, private}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	material := base64.StdEncoding.EncodeToString(append([]byte{kind}, public...))
	fmt.Printf("http://%s\n%s+%08x+%s\n", listener.Addr(), w.key.name, w.key.KeyHash(), material)
	return http.Serve(listener, w)
}

func (w *witness) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(io.LimitReader(in.Body, 1<<18))
	if err != nil || in.Method != http.MethodPost || in.URL.Path != "/add-checkpoint" {
		http.Error(out, "no", http.StatusNotFound)
		return
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	status, answer := w.judge(body)
	if status == http.StatusConflict {
		out.Header().Set("Content-Type", "text/x.tlog.size")
	}
	out.WriteHeader(status)
	fmt.Fprint(out, answer)
}

func (w *witness) judge(body []byte) (int, string) {
	head, signed, found := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	old, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	if !found || err != nil {
		return http.StatusBadRequest, ""
	}
	proof := tlog.TreeProof{}
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return http.StatusBadRequest, ""
		}
		proof = append(proof, hash)
	}
	if !strings.HasPrefix(string(signed), w.log.Name()+"\n") {
		return http.StatusNotFound, ""
	}
	opened, err := note.Open(signed, note.VerifierList(w.log))
	if err != nil {
		return http.StatusForbidden, ""
	}
	tree, err := parsed(opened.Text)
	if err != nil || old > tree.N {
		return http.StatusBadRequest, ""
	}
	if old != w.seen.N {
		return http.StatusConflict, fmt.Sprintf("%d\n", w.seen.N)
	}
	if !w.grows(tree, proof) {
		return http.StatusUnprocessableEntity, ""
	}
	cosigned, err := note.Sign(&note.Note{Text: opened.Text}, w.key)
	if err != nil {
		return http.StatusInternalServerError, ""
	}
	w.seen = tree
	return http.StatusOK, string(cosigned[len(opened.Text)+1:])
}

func (w *witness) grows(tree tlog.Tree, proof tlog.TreeProof) bool {
	if w.seen.N == 0 {
		return len(proof) == 0
	}
	if w.seen.N == tree.N {
		return len(proof) == 0 && w.seen.Hash == tree.Hash
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, w.seen.N, w.seen.Hash) == nil
}

func parsed(text string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 {
		return tlog.Tree{}, errors.New("no checkpoint")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// ------------------------------------------------------------------------------------------------ the log
type job struct {
	Url     string
	Skey    string      // signs the log, whose origin is the key's name
	Witness string      // the witness's verifier key
	Leaves  []tlog.Hash // as text in base64
	Steps   [][2]int64  // the old and the new size of each submission
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = h[index]
	}
	return found, nil
}

func ask() error {
	var asked job
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	signer, err := note.NewSigner(asked.Skey)
	if err != nil {
		return err
	}
	key, err := readKey(asked.Witness)
	if err != nil {
		return err
	}
	stored := hashes{}
	for n, leaf := range asked.Leaves {
		more, err := tlog.StoredHashesForRecordHash(int64(n), leaf, stored)
		if err != nil {
			return err
		}
		stored = append(stored, more...)
	}
	answers := []string{}
	for _, step := range asked.Steps {
		answer, err := submit(asked.Url, signer, key, stored, step[0], step[1])
		if err != nil {
			return err
		}
		answers = append(answers, answer)
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

// submit returns the status that is answered, and "cosigned" or what the body says.
func submit(url string, signer note.Signer, key cosigner, stored hashes, old, size int64) (string, error) {
	root, err := tlog.TreeHash(size, stored)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), size, root)
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return "", err
	}
	body := fmt.Sprintf("old %d\n", old)
	if 0 < old && old < size {
		proof, err := tlog.ProveTree(size, old, stored)
		if err != nil {
			return "", err
		}
		for _, hash := range proof {
			body += hash.String() + "\n"
		}
	}
	answer, err := http.Post(url+"/add-checkpoint", "text/plain", strings.NewReader(body+"\n"+string(signed)))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", err
	}
	if answer.StatusCode == http.StatusOK {
		opened, err := note.Open([]byte(text+"\n"+string(said)), note.VerifierList(key))
		if err != nil || len(opened.Sigs) != 1 {
			return fmt.Sprintf("200 and no cosignature: %v", err), nil
		}
		return "200 cosigned", nil
	}
	if answer.StatusCode == http.StatusConflict {
		return fmt.Sprintf("409 %s %s", answer.Header.Get("Content-Type"), strings.TrimSpace(string(said))), nil
	}
	return strconv.Itoa(answer.StatusCode), nil
}

func readKey(vkey string) (cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return cosigner{}, errors.New("no verifier key")
	}
	material, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(material) != 1+ed25519.PublicKeySize || material[0] != kind {
		return cosigner{}, errors.New("no verifier key of a witness")
	}
	key := cosigner{name: parts[0], public: material[1:]}
	if fmt.Sprintf("%08x", key.KeyHash()) != parts[1] {
		return cosigner{}, errors.New("the id is another key's")
	}
	return key, nil
}
