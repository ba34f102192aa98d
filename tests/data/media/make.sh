#!/bin/sh
# Makes the files of this folder anew, with the tools that people's devices and offices use too (README.md has versions).
#   apt-get install ffmpeg sox libsox-fmt-all libheif-examples webp libreoffice-writer-nogui libreoffice-calc-nogui \
#       libreoffice-impress-nogui
#   pip install pillow==13.0.0 vobject==0.9.9 python-docx==1.2.0 openpyxl==3.1.5 python-pptx==1.0.2 \
#       msoffcrypto-tool==6.1.0
#   PYTHON=/path/to/that/python sh make.sh
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=${PYTHON:-python3}
make() { ffmpeg -v error -y "$@"; }
tone='-f lavfi -i sine=440:duration=0.3'
film='-f lavfi -i testsrc=duration=0.4:size=176x144:rate=5'

# shellcheck disable=SC2086  # $tone and $film are several words
{
make $tone -ac 1 -ar 16000 -c:a libopus -b:a 16k voice-note.ogg          # a voice note
make $tone -ac 1 -c:a aac -b:a 24k voice.m4a                             # brand "M4A "
make $tone -ac 1 -c:a aac -b:a 24k -f mp4 voice.mp4                      # brand "isom", sound only
make $tone -ac 1 -c:a aac -b:a 24k -f adts voice.aac
make $tone -ac 1 -c:a libmp3lame -b:a 24k voice-id3.mp3
make $tone -ac 1 -c:a libmp3lame -b:a 24k -id3v2_version 0 -write_xing 0 voice-bare.mp3
make $tone -ac 1 -ar 8000 voice.wav
make $film $tone -c:v libx264 -crf 40 -pix_fmt yuv420p -c:a aac -b:a 24k film.mp4
make $film $tone -c:v libx264 -crf 40 -pix_fmt yuv420p -c:a aac -b:a 24k -movflags +frag_keyframe+empty_moov+default_base_moof film-fragmented.mp4
make $film $tone -c:v libx264 -crf 40 -pix_fmt yuv420p -c:a aac -b:a 24k film.mov
make $film $tone -c:v h263 -q:v 20 -c:a aac -ac 1 -b:a 24k film.3gp
make $film -c:v libvpx -b:v 50k film.webm
make $film -frames:v 1 "$work/picture.png"
}
sox -q voice.wav -r 8000 -t amr-nb voice.amr
make -i voice.amr -c copy voice-amr.3gp

"$python" - "$work" <<'PYTHON'
import sys, docx, openpyxl, pptx, vobject
from PIL import Image
frames = [Image.new("RGB", (24, 24), colour) for colour in ("teal", "olive", "navy")]
frames[0].save("photo.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0")
frames[0].save("screenshot.png")
frames[0].save("sticker-pillow.webp")
frames[0].save("animated.gif", save_all=True, append_images=frames[1:])
frames[0].save("sticker-animated.webp", save_all=True, append_images=frames[1:])
frames[0].save("scan.tiff")
frames[0].save("scan.bmp")
frames[0].save("scan.pdf")
card = vobject.vCard()
card.add("fn").value = "Example Person"
card.add("n").value = vobject.vcard.Name(family="Person", given="Example")
open("contact.vcf", "w", newline="").write(card.serialize())
text = docx.Document(); text.add_paragraph("An example."); text.save("python-docx.docx")
sheet = openpyxl.Workbook(); sheet.active["A1"] = "An example."; sheet.save("openpyxl.xlsx")
open(f"{sys.argv[1]}/office.txt", "w").write("An example.\n")
open(f"{sys.argv[1]}/office.csv", "w").write("an,example\n")
show = pptx.Presentation()
for layout in list(show.slide_layouts)[:-1]:  # each costs 40 KB in a .ppt
    show.slide_layouts.remove(layout)
show.slides.add_slide(show.slide_layouts[0])
show.save(f"{sys.argv[1]}/office.pptx")
PYTHON
cwebp -quiet "$work/picture.png" -size 500 -o sticker.webp
heif-enc -q 20 "$work/picture.png" -o photo.heic
heif-enc -A -q 20 "$work/picture.png" -o photo.avif

office() { soffice -env:UserInstallation="file://$work/profile" --headless --convert-to "$2" --outdir "$work/out" "$1" >/dev/null 2>&1; }
for kind in pdf doc docx odt rtf; do office "$work/office.txt" $kind; done
for kind in xls xlsx; do office "$work/office.csv" $kind; done
for kind in ppt pptx; do office "$work/office.pptx" $kind; done
for file in "$work"/out/office.*; do cp "$file" "libreoffice.${file##*.}"; done
gzip -9nf libreoffice.ppt  # 600 KB, nearly all of it the same
"$python" -m msoffcrypto -e -p example libreoffice.docx with-password.docx
