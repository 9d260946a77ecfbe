//! What the two built-in embedders tell apart: the plot and the voice.

use crate::DistanceMatrix;

use super::builtin;

/// Three tales in three voices each, as `TALES[tale][voice]`.
const TALES: [[&str; 3]; 3] = [
    [
        "The lighthouse keeper found a bottle on the beach. She opened it and read the letter. A \
         sailor had written it from a sinking ship. The keeper lit the lamp and rowed into the \
         storm. She found the sailor on a raft and brought him to the lighthouse.",
        "Okay so I'm the lighthouse keeper, right? And I find this bottle on the beach!! I open it \
         and there's a letter in it... from a sailor! On a sinking ship! So I light the lamp and I \
         row right into the storm, like an idiot. And guess what? There's the sailor on his raft! \
         I'm taking him back to the lighthouse, you'd do that too, wouldn't you?",
        "Upon the beach, beneath the grey and patient lighthouse, there lay a bottle; and within \
         the bottle, which the keeper opened with trembling fingers, there slept a letter, \
         composed by a sailor whose ship was even then surrendering to the depths. The lamp having \
         been kindled, the keeper rowed into the storm, until at length, upon a raft, the sailor \
         appeared, and was conveyed, half perished, to the lighthouse.",
    ],
    [
        "The baker burned the bread on the morning of the wedding. He had no flour left. The \
         neighbours brought flour from their kitchens. They baked all day with the baker. The bride \
         cut the bread and thanked the whole village.",
        "So I burned the bread! On the morning of the wedding, can you believe it?! And I've got no \
         flour left, like, none. But then my neighbours come over, and they're bringing me flour \
         from their kitchens! We're baking all day, all of us! And the bride cuts the bread and \
         thanks the whole village... I'm not crying, you're crying!",
        "On the morning of the wedding the bread, alas, was burned; and the baker, whose flour was \
         wholly exhausted, beheld with despair the blackened ovens. Yet from kitchen upon kitchen \
         the neighbours, bearing flour in baskets and aprons, proceeded to the bakery, where, \
         throughout the lengthening day, they laboured beside the baker; until the bride, dividing \
         the bread, bestowed upon the assembled village her gratitude.",
    ],
    [
        "The old fox lost her den to the river. She walked over the mountain to the forest. A \
         badger let her sleep in his tunnel. In spring she dug a new den beside the badger. They \
         hunted together until the snow came.",
        "I'm an old fox, and guess what, the river took my den! So I walk over the mountain, all the \
         way to the forest, and I'm SO tired! And this badger, he lets me sleep in his tunnel, just \
         like that! Now it's spring and I'm digging my own den, right beside the badger. We hunt \
         together, you know? Until the snow comes...",
        "The river, swollen and indifferent, had deprived the aged fox of her den; wherefore, \
         crossing the mountain with much weariness, she descended into the forest, where a badger, \
         moved by compassion, surrendered to her a chamber of his tunnel. In spring, beside the \
         dwelling of the badger, another den was excavated; and thenceforth, until the arrival of \
         the snow, the two companions hunted together beneath the silent branches.",
    ],
];

/// The mean distances between (one tale in two voices, two tales in one voice).
fn distances(name: &str) -> (f64, f64) {
    let texts = TALES.as_flattened();
    let embedder = builtin(name).unwrap();
    let matrix = DistanceMatrix::from_embeddings(&embedder.embed(texts).unwrap()).unwrap();
    let (mut voices, mut tales) = (Vec::new(), Vec::new());
    for i in 0..texts.len() {
        for j in 0..i {
            let distance = f64::from(matrix.row(i)[j]);
            if i / 3 == j / 3 {
                voices.push(distance);
            } else if i % 3 == j % 3 {
                tales.push(distance);
            }
        }
    }
    let mean = |d: &[f64]| d.iter().sum::<f64>() / d.len() as f64;
    (mean(&voices), mean(&tales))
}

#[test]
fn lexical_sees_the_plot() {
    let (same_tale, same_voice) = distances("builtin:lexical");
    assert!(
        same_tale < 0.75 && same_voice > 0.9,
        "{same_tale} {same_voice}"
    );
}

#[test]
fn style_sees_the_voice() {
    let (same_tale, same_voice) = distances("builtin:style");
    assert!(
        same_tale > 0.9 && same_voice < 0.6,
        "{same_tale} {same_voice}"
    );
}

#[test]
fn each_text_is_nearest_to_its_like() {
    for (name, tale_wanted) in [("builtin:lexical", true), ("builtin:style", false)] {
        let texts = TALES.as_flattened();
        let embedder = builtin(name).unwrap();
        let matrix = DistanceMatrix::from_embeddings(&embedder.embed(texts).unwrap()).unwrap();
        for i in 0..texts.len() {
            let others = (0..texts.len()).filter(|&j| j != i);
            let nearest = others
                .min_by(|&a, &b| matrix.row(i)[a].total_cmp(&matrix.row(i)[b]))
                .unwrap();
            let same_tale = nearest / 3 == i / 3;
            assert_eq!(
                same_tale, tale_wanted,
                "{name}: {:?} {:?}",
                texts[i], texts[nearest]
            );
        }
    }
}

#[test]
fn ids_and_sizes() {
    for name in ["builtin:lexical", "builtin:style"] {
        let embedder = builtin(name).unwrap();
        assert!(embedder.id().starts_with(name));
        assert_eq!(
            embedder.embed(&["a tale"]).unwrap()[0].len(),
            embedder.dims()
        );
        assert!(embedder.embed(&[]).unwrap().is_empty());
    }
    assert!(builtin("builtin:other").is_none());
}

#[test]
fn the_vectors_belong_to_the_id() {
    // A change to the vectors needs a new number in the id, or caches serve stale ones.
    for (id, expected) in [("builtin:lexical@1", -123.465), ("builtin:style@1", 6.559)] {
        let embedder = builtin(id.trim_end_matches("@1")).unwrap();
        assert_eq!(embedder.id(), id);
        let rows = embedder.embed(&[TALES[0][1]]).unwrap();
        let fingerprint: f64 = (1..)
            .zip(&rows[0])
            .map(|(i, &v)| f64::from(i as f32 * v))
            .sum();
        assert!((fingerprint - expected).abs() < 1e-2, "{id} {fingerprint}");
    }
}
