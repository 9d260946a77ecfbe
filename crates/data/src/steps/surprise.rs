//! Surprise: how little a language model expected each response.

use crate::error::DataError;
use crate::group::{Group, Response};
use rarebit_text::Text;

/// A language model that measures how surprising responses are.
pub trait SurpriseModel {
    /// A stable identity of the model.
    fn id(&self) -> &str;

    /// The perplexity of each response given its prompt, `exp(-1/|y| log p(y | x))`, finite, in the
    /// order of the responses.
    ///
    /// # Errors
    /// When the model cannot read them.
    fn perplexities(
        &self,
        responses: &[(&Text, &Response)],
    ) -> Result<Vec<f64>, Box<dyn std::error::Error + Send + Sync>>;
}

/// Gives every response its surprise under the model, replacing one that the source has.
pub(crate) fn surprise<'g>(
    groups: impl Iterator<Item = &'g mut Group>,
    model: &dyn SurpriseModel,
) -> Result<(), DataError> {
    let mut groups: Vec<&mut Group> = groups.collect();
    let failed = |source| DataError::Surprise {
        model: model.id().to_owned(),
        source,
    };
    let responses: Vec<(&Text, &Response)> = groups
        .iter()
        .flat_map(|group| {
            group
                .responses
                .iter()
                .map(|response| (&group.prompt, response))
        })
        .collect();
    let found = model.perplexities(&responses).map_err(failed)?;
    if found.len() != responses.len() {
        let problem = format!(
            "{} perplexities of {} responses",
            found.len(),
            responses.len()
        );
        return Err(failed(problem.into()));
    }
    let responses = groups.iter_mut().flat_map(|group| &mut group.responses);
    for (response, perplexity) in responses.zip(found) {
        response.surprise = Some(perplexity);
    }
    Ok(())
}
