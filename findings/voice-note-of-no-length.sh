#!/bin/sh
# mutagen and tinytag: a fragmented M4A lasts 0 seconds.
#
# mutagen 1.48.1, tinytag 2.3.2, files by ffmpeg (imageio-ffmpeg 0.8.1). In a fragmented MP4 the header's duration is 0
# and the fragments hold the samples; browsers' recorders and some phones write voice notes so. Both libraries read the
# header alone and raise nothing.
#
# Seen:
#   plain       mutagen 7.0 s, tinytag 7.0 s
#   fragmented  mutagen 0.0 s, tinytag 0.0 s
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check mutagen==1.48.1 tinytag==2.3.2 imageio-ffmpeg==0.8.1
cd "$dir"
venv/bin/python - <<'PROGRAM'
import subprocess

import imageio_ffmpeg
import mutagen.mp4
import tinytag

found = {}
for name, flags in {"plain": [], "fragmented": ["-movflags", "frag_keyframe+empty_moov"]}.items():
    file = f"{name}.m4a"
    encode = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "sine=d=7", "-c:a", "aac"]
    subprocess.run([*encode, *flags, file], check=True)
    found[name] = (round(mutagen.mp4.MP4(file).info.length, 1), round(tinytag.TinyTag.get(file).duration, 1))
    print("{:<11} mutagen {} s, tinytag {} s".format(name, *found[name]))
assert found == {"plain": (7.0, 7.0), "fragmented": (0.0, 0.0)}
PROGRAM
