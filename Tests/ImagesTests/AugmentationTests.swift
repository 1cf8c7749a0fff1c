// Random changes of photos: the same from the same numbers, and boxes that follow the pixels.

import GraftImages
import Testing

/// A generator that anyone can write down (SplitMix64).
private struct Numbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct AugmentationTests {
    private let photo = DrawnShapes.stripes.image(seed: 3, size: 64)

    @Test func nothingChangesNothing() {
        var random = Numbers(state: 1)
        #expect(Augmentation().isNothing)
        #expect(Augmentation().apply(photo, using: &random) == photo)
    }

    @Test(arguments: Augmentation.Policy.allCases)
    func theSameNumbersGiveTheSamePixels(policy: Augmentation.Policy) {
        var all = Augmentation()
        (all.flip, all.flipVertical, all.rotation, all.zoom, all.translation) = (
            true, true, 20, 0.2, 0.1
        )
        (all.crop, all.brightness, all.contrast, all.saturation) = (0.5, 0.3, 0.3, 0.3)
        (all.noise, all.blur, all.erasing, all.policy) = (8, 1, 0.5, policy)
        var (first, second, third) = (
            Numbers(state: 5), Numbers(state: 5), Numbers(state: 6)
        )
        let picture = all.apply(photo, using: &first)
        #expect(all.apply(photo, using: &second) == picture)
        #expect(all.apply(photo, using: &third) != picture)
        #expect(picture.width == 64 && picture.height == 64)
    }

    /// Keras' two directions hang on one draw; here all four outcomes come up.
    @Test func mirrorsAreIndependent() {
        var both = Augmentation()
        (both.flip, both.flipVertical) = (true, true)
        var random = Numbers(state: 9)
        let seen = Set((0..<100).map { _ in both.apply(photo, using: &random) })
        #expect(seen.count == 4)
        #expect(seen.contains(photo.flippedHorizontally()))
    }

    /// A bright rectangle and its box go the same way, whatever the draw.
    @Test func boxesFollowThePixels() throws {
        var changes = Augmentation()
        (changes.flip, changes.flipVertical, changes.zoom, changes.translation, changes.crop) = (
            true, true, 0.2, 0.15, 0.6
        )
        var random = Numbers(state: 2)
        for _ in 0..<50 {
            var image = try Image(width: 80, height: 60, color: .black)
            for y in 20..<36 { for x in 30..<54 { image[x, y] = .white } }
            let draw = changes.draw(width: 80, height: 60, using: &random)
            let moved = image.changed(by: draw)
            // Mirrored copies beyond the border would be white too: only look where the box is.
            let source = Box(left: 30, top: 20, right: 54, bottom: 36)
            guard let box = draw.map.moved(source, width: 80, height: 60) else { continue }
            let (middleX, middleY) = (
                Int((box.left + box.right) / 2), Int((box.top + box.bottom) / 2)
            )
            #expect(moved[min(middleX, 79), min(middleY, 59)] == .white)
            func isDark(_ x: Double, _ y: Double) -> Bool {
                guard (0..<80).contains(Int(x)), (0..<60).contains(Int(y)) else { return true }
                return moved[Int(x), Int(y)].red < 128
            }
            #expect(isDark(box.left - 2, Double(middleY)) || box.left < 2)
            #expect(isDark(box.right + 2, Double(middleY)))
            #expect(isDark(Double(middleX), box.bottom + 2))
        }
    }

    /// The moves of the policies are part of the map: where a dot goes, a point and a mask go too.
    @Test(arguments: [Augmentation.Policy.randaugment, .trivial])
    func whatPoliciesMoveTakesItsMaskAlong(policy: Augmentation.Policy) {
        var changes = Augmentation()
        (changes.policy, changes.rotation) = (policy, 20)
        var random = Numbers(state: 5)
        var moved = 0
        for _ in 0..<80 {
            let draw = changes.draw(width: 60, height: 60, using: &random)
            var mask = [UInt8](repeating: 0, count: 3600)
            for y in 26..<34 { for x in 26..<34 { mask[y * 60 + x] = 7 } }
            let follows = draw.map.moved(mask, width: 60, height: 60)
            let box = draw.map.moved(
                Box(left: 26, top: 26, right: 34, bottom: 34), width: 60, height: 60)
            #expect(follows.allSatisfy { $0 == 0 || $0 == 7 })
            guard let box else { continue }
            moved += 1
            // Every marked pixel is in the box, and the box is no larger than they need.
            let marked = (0..<3600).filter { follows[$0] == 7 }.map { (x: $0 % 60, y: $0 / 60) }
            #expect(
                marked.allSatisfy {
                    Double($0.x) + 0.5 > box.left && Double($0.x) + 0.5 < box.right
                        && Double($0.y) + 0.5 > box.top && Double($0.y) + 0.5 < box.bottom
                })
            let left = marked.map(\.x).min() ?? 0
            #expect(Double(left) - box.left < 2)
        }
        #expect(moved > 40)
    }

    @Test func mapsHaveInverses() throws {
        let map = AffineMap.around(x: 10, y: 20, degrees: 33, scale: 1.3, moved: (4, -2))
        let back = try #require(map.inverse)
        let there = map.source(3, 7)
        let again = back.source(there.x, there.y)
        #expect(abs(again.x - 3) < 1e-9 && abs(again.y - 7) < 1e-9)
        // A quarter turn counter-clockwise brings the right edge to the top.
        var image = try Image(width: 9, height: 9, color: .black)
        image[8, 4] = .white
        #expect(ImageOperation.rotate.apply(image, 90)[4, 0] == .white)
    }

    @Test func darkAndFlatPicturesSurviveEveryOperation() throws {
        let flat = try Image(width: 5, height: 1, color: Color(7, 7, 7))
        for operation in ImageOperation.allCases {
            for amount in [-1.0, 0, 0.5, 1, 4, 200] {
                #expect(operation.apply(flat, amount).pixels.count == 15)
            }
        }
    }
}
