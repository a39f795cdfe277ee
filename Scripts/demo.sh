#!/bin/sh
# The main job on a small model: Modelfile → plan → image in the local store → back to a directory. No server needed.
set -eu

kapsule=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "$0")/.."
out=demo-out
rm -rf "$out"
mkdir -p "$out"
export KAPSULE_HOME="$PWD/$out/store" XDG_CACHE_HOME="$PWD/$out/cache"

run() {
    echo
    echo "\$ kapsule $*"
    "$kapsule" "$@"
}

echo "making a small model in $out/model"
python3 Scripts/make-model.py "$out/model" 24
cp examples/directory/Modelfile "$out/model/Modelfile"

run plan -t demo/tiny:1 "$out/model"
run build -t demo/tiny:1 "$out/model"
run ls
run inspect demo/tiny:1
run export demo/tiny:1 --format hf -o "$out/exported"
run verify demo/tiny:1
run plan -t demo/tiny:1 --format svg "$out/model" > "$out/plan.svg"

for file in model.safetensors config.json tokenizer.json; do
    cmp "$out/model/$file" "$out/exported/$file"
done
echo
echo "exported files equal those of the model; the plan is drawn in $out/plan.svg"
