use rarebit::deviation::embed::{Lexical, Style};
use rarebit::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = Session::cpu("cache");
    let columns = SourceOptions::default();

    // Prepare: split the stories by prompt, pair them by score, weigh them by deviation.
    let (stories, prepared) = ("stories.jsonl".as_ref(), "prepared".as_ref());
    let preparation = Preparation::new(&Lexical, &Style);
    prepare(stories, prepared, &preparation, &session.events)?;

    // Train: DDPO with a LoRA adapter. The keys are those of TRL, transformers and peft.
    let config = RunConfig::from_toml(
        r#"
        objective = "ddpo"
        model_name_or_path = "base"
        dataset_name = "prepared"
        output_dir = "ddpo"
        lora_r = 8
        "#,
    )?;
    train_policy(&config, &session)?;

    // Generate: four samples to each held-out prompt.
    let model = load("ddpo/model", &LocalFolders, &session.device)?;
    let sampling = SamplingSettings::default().config(true, 42)?;
    let prompts = read_prompts("prepared/test/groups.parquet".as_ref(), &columns)?;
    let job = Job::to_file(&prompts, 4, "samples.jsonl".as_ref(), &session);
    job.run(&Respondent::Local(&Writer::new(&model, &sampling)))?;

    // Evaluate: each metric with a confidence interval.
    let system = read_system("ddpo", "samples.jsonl".as_ref(), &columns)?;
    let options = EvalOptions::default();
    let evaluation = evaluate(&[system], &Lexical, &Style, &options, &mut |_| {})?;
    println!("{}", eval::evaluation_csv(&evaluation));
    Ok(())
}
