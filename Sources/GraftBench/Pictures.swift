// From a file to a network's input: decoding, resizing, normalising.

import GraftImages

func benchPictures(_ bench: Bench, photo: String?) throws {
    let (width, height) = (1024, 768)
    let pixels = (0..<(width * height * 3)).map { UInt8(truncatingIfNeeded: $0 &* $0 >> 7) }
    let image = Image(sized: width, height, pixels)
    let png = try image.png()
    try bench("decode a PNG of 1024 × 768", bytes: pixels.count) {
        keep(try Image.decode(png).width)
    }
    try bench("resize 1024 × 768 to 224 × 224, bicubic as Pillow") {
        keep(image.resized(width: 224, height: 224, .bicubic).width)
    }
    guard let photo else {
        print("decode a photo: left out, as no --photo FILE.jpg is given")
        return
    }
    let preparation = Preprocessing.centerCrop(224, shorterSide: 256, .half, kernel: .bicubic)
    try bench(
        "a photo to a tensor",
        plain: (
            "decoding all of its pixels",
            { keep(try preparation.tensor(try Image.decode(path: photo))) }
        )
    ) {
        keep(try preparation.tensor(try preparation.open(photo)))
    }
}
