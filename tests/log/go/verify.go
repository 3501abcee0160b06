// SPDX-License-Identifier: EUPL-1.2

// Verify reads a log with nothing of ours: checkpoints by golang.org/x/mod/sumdb/note, the tree and proofs by
// golang.org/x/mod/sumdb/tlog, lines by the standard library.
//
// It reads one JSON document from standard input, and writes what it found as a list of texts: empty where all is well.
package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A proof that a record is in the tree of one checkpoint, or that this tree is the beginning of another one's.
type proof struct {
	Kind   string      // "record" or "tree"
	Seq    int64       // of the record
	Old    int         // which checkpoint the smaller tree is of
	New    int         // which checkpoint the tree is of
	Hashes []tlog.Hash // as text in base64
}

type job struct {
	Vkey        string
	Files       []string // the segments in their order, plain or compressed
	Checkpoints []string // signed notes
	Proofs      []proof
	Tiles       []string // <path> of full tiles of level 0, by their index
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(h)) {
			return nil, fmt.Errorf("the tree has no hash %d", index)
		}
		found[i] = h[index]
	}
	return found, nil
}

func main() {
	var asked job
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	found := verify(asked)
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		os.Exit(2)
	}
}

func verify(asked job) []string {
	found := []string{}
	verifier, err := note.NewVerifier(asked.Vkey)
	if err != nil {
		return append(found, err.Error())
	}
	stored, leaves, err := tree(asked.Files)
	if err != nil {
		return append(found, err.Error())
	}
	trees := make([]tlog.Tree, len(asked.Checkpoints))
	for i, text := range asked.Checkpoints {
		trees[i], err = opened(text, verifier)
		if err == nil {
			err = compared(trees[i], stored, int64(len(leaves)))
		}
		if err != nil {
			found = append(found, fmt.Sprintf("checkpoint %d: %v", i, err))
		}
	}
	for i, each := range asked.Proofs {
		if err := proven(each, trees, leaves); err != nil {
			found = append(found, fmt.Sprintf("proof %d: %v", i, err))
		}
	}
	for i, path := range asked.Tiles {
		if err := tile(int64(i), path, stored, int64(len(leaves))); err != nil {
			found = append(found, fmt.Sprintf("tile %d: %v", i, err))
		}
	}
	return found
}

// tree returns the hashes of the whole log as tlog stores them, and the leaves.
func tree(files []string) (hashes, []tlog.Hash, error) {
	var stored hashes
	var leaves []tlog.Hash
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		defer file.Close()
		var text io.Reader = file
		if strings.HasSuffix(path, ".gz") {
			if text, err = gzip.NewReader(file); err != nil {
				return nil, nil, err
			}
		}
		lines := bufio.NewScanner(text)
		lines.Buffer(nil, 1<<17)
		for lines.Scan() {
			leaves = append(leaves, tlog.RecordHash(lines.Bytes()))
			more, err := tlog.StoredHashes(int64(len(leaves)-1), lines.Bytes(), stored)
			if err != nil {
				return nil, nil, err
			}
			stored = append(stored, more...)
		}
		if err := lines.Err(); err != nil {
			return nil, nil, err
		}
	}
	return stored, leaves, nil
}

// opened returns what a checkpoint says, once its signature is verified.
func opened(text string, verifier note.Verifier) (tlog.Tree, error) {
	read, err := note.Open([]byte(text), note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(read.Text, "\n")
	if len(lines) < 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("the checkpoint is another log's")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func compared(said tlog.Tree, stored hashes, size int64) error {
	if said.N > size {
		return fmt.Errorf("it is of %d records, and there are %d", said.N, size)
	}
	root, err := tlog.TreeHash(said.N, stored)
	if err == nil && root != said.Hash {
		err = fmt.Errorf("the tree of %d records has another root", said.N)
	}
	return err
}

func proven(each proof, trees []tlog.Tree, leaves []tlog.Hash) error {
	whole := trees[each.New]
	if each.Kind == "record" {
		return tlog.CheckRecord(each.Hashes, whole.N, whole.Hash, each.Seq, leaves[each.Seq])
	}
	part := trees[each.Old]
	return tlog.CheckTree(each.Hashes, whole.N, whole.Hash, part.N, part.Hash)
}

// tile compares a full tile of level 0 with what tlog makes of the records.
func tile(index int64, path string, stored hashes, size int64) error {
	which := tlog.Tile{H: 8, L: 0, N: index, W: 256}
	if name := strings.TrimPrefix(which.Path(), "tile/8/"); !strings.HasSuffix(path, "/tile/"+name) {
		return fmt.Errorf("it is called otherwise than %s", name)
	}
	said, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	is, err := tlog.ReadTileData(which, stored)
	if err == nil && string(is) != string(said) {
		err = fmt.Errorf("it has other hashes than the records")
	}
	return err
}
